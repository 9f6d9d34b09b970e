"""Fine-tuning: the adapter, its identity, and what must not move."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from med_lora.datasets import AdapterDataset, Pretrained, PretrainedDataset, WorkFolder
from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.pipelines.training import job as jobs
from med_lora.pipelines.training.job import TrainingJob, describe_job, train_on_rank
from med_lora.pipelines.training.nodes import discard_checkpoints
from med_lora.provenance import describe_origin
from tests.hub_cards import find_faults, head_of
from tests.recipes import hardware, lora, model_params

from .recipes import PROMPT, TRAINING, Split

Train = Callable[..., tuple[Pretrained, pd.DataFrame]]


def weights(trained: Pretrained) -> dict[str, torch.Tensor]:
    return load_file(trained.model.path / "adapter_model.safetensors")


def recipe(**changes: Any) -> Any:
    """The training settings with changes to the optimisation."""
    return TRAINING.model_copy(update={"optimisation": TRAINING.optimisation.model_copy(update=changes)})


def test_training_lowers_the_answer_loss_and_records_the_base(train: Train, base_model: BaseModel) -> None:
    adapter, history = train(train=Split(16))
    losses = history[history.metric == "validation_loss"].value
    assert losses.iloc[-1] < losses.iloc[0] - 0.1
    record = json.loads(adapter.files["med_lora.json"])
    expected = describe_origin(base_model, Split(16).to_pandas(), PROMPT, "none")
    assert record == expected | {"start_sha256": None, "canaries": 0}
    assert "library_name: peft" in adapter.files["README.md"]


def test_adapter_is_the_same_twice_and_differs_by_seed(train: Train) -> None:
    first, same, different = (weights(train(training=recipe(seed=seed))[0]) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], different[name]) for name in first)


def test_card_tells_recipe_losses_and_kept_step(train: Train, base_model: BaseModel) -> None:
    adapter, history = train(training=recipe(keep="best", lora_plus_ratio=4.0), hardware=hardware(attention="eager"))
    card = adapter.files["README.md"]
    losses = history[history.metric == "validation_loss"].set_index("step").value
    assert f"{losses.iloc[0]:.3f} before, {losses.min():.3f} after training" in card
    assert f"| kept | weights of step {losses.idxmin()} |" in card
    for line in (
        "license: other\n",
        "| base model | `base` |",
        "| first stage | none |",
        "| rank, alpha, dropout | 4, 8, 0.1 |",
        "| LoRA+ ratio, NEFTune alpha | 4, none |",
        "| weights kept, patience | best, none |",
        "| hardware | CPU, fp32, 1 process, attention eager |",
    ):
        assert line in card
    assert find_faults(card) == []
    assert "base_model" not in head_of(card)  # a folder of this machine is nothing that the hub could link
    assert str(Path(base_model.source).parent) not in card
    assert "gout" not in card


def test_saved_adapter_is_what_was_trained_and_checkpoints_go_after_it(
    train: Train, work: WorkFolder, tmp_path: Path
) -> None:
    adapter, history = train(training=recipe(checkpoints=2))
    trained = weights(adapter)
    assert list(work.path.glob("*/checkpoint-*/_SUCCESS"))
    dataset = AdapterDataset(filepath=tmp_path / "adapter")
    dataset.save(adapter)
    output = adapter.model.path
    del adapter
    assert not output.exists()
    handle = dataset.load()
    discard_checkpoints(handle, history, work)
    assert [path.name for path in work.path.iterdir() if path.name != ".lock"] == []
    saved = load_file(handle.path / "adapter_model.safetensors")
    assert all(torch.equal(saved[name], trained[name]) for name in trained)


def test_a_start_adapter_is_gone_on_with(train: Train, base_model: BaseModel, tmp_path: Path) -> None:
    dataset = AdapterDataset(filepath=tmp_path / "first")
    adapter, first = train(training=recipe(checkpoints=0))
    dataset.save(adapter)
    start = dataset.load()
    second, history = train(training=recipe(checkpoints=0, learning_rate=1e-9), start=start)

    def validation(table: pd.DataFrame) -> pd.Series:
        return table[table.metric == "validation_loss"].value

    assert validation(history).iloc[0] == pytest.approx(validation(first).iloc[-1], abs=1e-6)
    assert json.loads(second.files["med_lora.json"])["start_sha256"] == start.sha256
    assert "| first stage | continued pre-training on plain text, whose adapter" in second.files["README.md"]


def test_full_training_gives_a_whole_model_that_transformers_loads(
    train: Train, base_model: BaseModel, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    whole, history = train(training=recipe(learning_rate=1e-3).model_copy(update={"method": "full"}))
    dataset = PretrainedDataset(filepath=tmp_path / "tuned_model")
    dataset.save(whole)
    folder = dataset.load().path
    tuned, base = AutoModelForCausalLM.from_pretrained(folder), base_model.model(torch.float32)
    moved = [not torch.equal(*pair) for pair in zip(tuned.parameters(), base.parameters(), strict=True)]
    assert all(moved)
    text = "what is gout?"
    assert AutoTokenizer.from_pretrained(folder)(text) == base_model.tokenizer()(text)
    card = (folder / "README.md").read_text()
    assert "library_name: transformers" in card
    assert find_faults(card) == []
    assert "rank" not in card
    losses = history[history.metric == "validation_loss"].value
    assert losses.iloc[-1] < losses.iloc[0]


def test_loss_on_all_counts_the_question_too(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TrainingJob] = []

    def stop(job: TrainingJob) -> None:
        seen.append(job)
        raise InputError("seen")

    monkeypatch.setattr("med_lora.pipelines.training.nodes.train_on_rank", stop)
    for loss_on in ("answer", "all"):
        with pytest.raises(InputError, match="seen"):
            train(training=TRAINING.model_copy(update={"loss_on": loss_on}))
    answer, everything = (job.train[0] for job in seen)
    assert everything["labels"] == everything["input_ids"] == answer["input_ids"]
    assert answer["labels"] != everything["labels"]
    assert seen[0].settings["data.train_sha256"] != seen[1].settings["data.train_sha256"]


def test_moved_base_weights_end_the_run(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    real_fit = jobs.fit

    def careless(model: Any, *args: Any, **options: Any) -> Any:
        with torch.no_grad():
            next(value for value in model.parameters() if not value.requires_grad)[0, 0] += 1.0
        return real_fit(model, *args, **options)

    monkeypatch.setattr(jobs, "fit", careless)
    with pytest.raises(RuntimeError, match="moved weights of the base"):
        train()


def test_empty_training_set_is_one_sentence(train: Train) -> None:
    with pytest.raises(InputError, match="training set is empty"):
        train(train=Split(0))


def test_length_beyond_the_positions_is_refused_before_the_weights_are_read(
    train: Train, base_model: BaseModel
) -> None:
    (Path(base_model.source) / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"training\.max_length is 129 and the base model has 128 positions"):
        train(training=TRAINING.model_copy(update={"max_length": 129}))


def test_a_full_disk_is_foreseen_and_checkpoints_that_lie_there_are_not_asked_for_again(
    base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    model = torch.nn.Linear(1000, 2000, bias=False, device="meta")  # 8 MB
    given = (base_model, model_params(), recipe(checkpoints=2), hardware(), [], [], tmp_path / "output", {})
    job = TrainingJob(*given, checkpoints=tmp_path / "checkpoints")

    def check(free: int) -> None:
        monkeypatch.setattr(jobs.shutil, "disk_usage", lambda folder: usage(0, 0, free))
        jobs.check_disk(model, job)

    needed = 8_000_000 * (2 + 2 * 3)  # result twice, two checkpoints of three copies
    check(needed)
    with pytest.raises(InputError, match=r"needs about 64 MB for checkpoints and result .* has 24 MB left"):
        check(24_000_000)
    checkpoint = tmp_path / "checkpoints" / "0123456789abcdef" / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    with (checkpoint / "optimizer.pt").open("wb") as stream:
        stream.truncate(24_000_000)
    check(needed - 24_000_000)
    with pytest.raises(InputError, match=r"needs about 40 MB .* has 39 MB left"):
        check(39_000_000)
    with (checkpoint / "optimizer.pt").open("r+b") as stream:
        stream.truncate(100_000_000)
    with pytest.raises(InputError, match=r"needs about 16 MB"):  # the result finds no room in checkpoints
        check(15_000_000)


def test_whatever_decides_the_result_is_in_the_settings(train: Train, base_model: BaseModel, tmp_path: Path) -> None:
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}]
    given: dict[str, Any] = {
        "base_model": base_model,
        "model": model_params(),
        "training": TRAINING,
        "hardware": hardware(),
        "train": rows,
        "validation": rows,
    }

    def changed(**changes: Any) -> set[str]:
        one, other = describe_job(**given), describe_job(**(given | changes))
        return {key for key in {*one, *other} if one.get(key) != other.get(key)}

    assert changed() == set()
    assert json.loads(json.dumps(describe_job(**given))) == describe_job(**given)
    assert changed(train=[{"input_ids": [5, 6, 7], "labels": [-100, -100, 7]}]) == {"data.train_sha256"}
    assert changed(validation=[*rows, *rows]) == {"data.validation_sha256"}
    assert changed(training=recipe(seed=4)) == {"training.optimisation.seed"}
    assert changed(training=TRAINING.model_copy(update={"lora": lora(dropout=0.2)})) == {"training.lora.dropout"}
    assert changed(training=recipe(checkpoints=5)) == set()
    assert changed(hardware=hardware(micro_batch_size=1)) == {"hardware.micro_batch_size"}
    assert changed(hardware=hardware(threads=1)) == set()
    assert changed(model=model_params(quantisation="nf4")) == {"base_model.quantisation"}
    assert changed(base_model=replace(base_model, sha256="0")) == {"base_model.sha256"}
    (tmp_path / "adapter_model.safetensors").write_bytes(b"1")
    assert "start.sha256" in changed(start=tmp_path)


def test_a_watch_sees_every_validation_and_may_stop_the_run(
    train: Train, base_model: BaseModel, tmp_path: Path
) -> None:
    rows = [{"input_ids": [5, 6, 7, 8 + n], "labels": [-100, 6, 7, 8 + n]} for n in range(8)]
    seen: list[int] = []

    def watch(step: int, loss: float) -> None:
        seen.append(step)
        if step:
            raise LookupError("enough")

    job = TrainingJob(
        base_model, model_params(), TRAINING, hardware(), rows, rows, tmp_path / "output", {}, watch=watch
    )
    with pytest.raises(LookupError, match="enough"):
        train_on_rank(job)
    assert seen == [0, 4]
    assert not job.output.exists()


@pytest.mark.parametrize(("overlong", "dropped"), [("truncate", 0), ("drop", 3)])
def test_history_counts_what_became_of_overlong_pairs(train: Train, overlong: str, dropped: int) -> None:
    pairs = Split(8)
    pairs.frame.loc[[1, 4, 6], "answer"] += (
        " It goes on and on for as long as a reader can bear, and then a little more."
    )
    longer = TRAINING.model_copy(update={"overlong": overlong, "max_length": 100})
    adapter, history = train(train=pairs, training=longer)
    counts = history[history["step"] == 0].set_index("metric")["value"]
    assert (counts["train_pairs"], counts["train_overlong_pairs"], counts["train_dropped_pairs"]) == (8, 3, dropped)
    assert counts["validation_overlong_pairs"] == 0
    assert (counts["train_answer_tokens_cut"] > 0) == (overlong == "truncate")
    assert f"on {8 - dropped} question-answer pairs" in adapter.files["README.md"]
    assert set(history["metric"]) >= {"train_loss", "validation_loss"}


def test_overlong_pairs_stop_the_run_if_asked(train: Train) -> None:
    short = TRAINING.model_copy(update={"overlong": "stop", "max_length": 20})
    with pytest.raises(InputError, match=r"8 of 8 train pairs are longer than training\.max_length \(20 tokens"):
        train(training=short)


def test_an_adapter_trained_on_chats_is_recognised_by_its_chat_template(train: Train, base_model: BaseModel) -> None:
    chat = PromptParams(template="chat", system="Be brief.")
    with pytest.raises(InputError, match="has no chat template"):
        train(prompt=chat)
    chatty = base_model.tokenizer()
    chatty.chat_template = "{% for turn in messages %}{{ turn.content + '<eos>' }}{% endfor %}"
    chatty.save_pretrained(base_model.source)
    adapter, history = train(prompt=chat)
    record = json.loads(adapter.files["med_lora.json"])
    assert {key: record["prompt"][key] for key in ("template", "system")} == {"template": "chat", "system": "Be brief."}
    losses = history[history["metric"] == "validation_loss"]["value"]
    assert losses.iloc[-1] < losses.iloc[0]
