"""The notebooks: clean files, and what their cells compute, show and keep to themselves on a finished run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.projects import DefaultRun, newest, run_environment

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXPLORE, INSPECT = "explore_corpora.ipynb", "inspect_errors.ipynb"
VALUES = {
    EXPLORE: {
        "groups": "groups.to_dict('records')",
        "topics": "topics.to_dict('records')",
        "words": "words.to_dict('list')",
        "kept": "int(reasons.loc[('keep', 'kept')].sum())",
        "licences": "len(licences)",
        "screened": "[f'screened_{name}' for name in screening.loc[screening['found'] > 0, 'name']]",
    },
    INSPECT: {
        "gains": "gains.set_index('metric').to_dict('index')",
        "worst": "worst.to_dict('records')",
        "faults": "faults.set_index('flag').to_dict('index')",
        "copied": "copied.to_dict('records')",
        "losses": "losses.to_dict('records')",
        "parts": "parts.to_dict('records')",
        "unsupported": "unsupported.to_numpy().tolist()",
    },
}
Job = tuple[str, str, dict[str, Any]]
JOBS: dict[str, Job] = {
    "explore": (EXPLORE, "data/08_reporting", {}),
    "inspect": (INSPECT, ".", {}),
    "explore with text": (EXPLORE, ".", {"show_text": True}),
    "inspect with text": (INSPECT, ".", {"show_text": True, "wanted": "pair > 0", "worst_by": "over_control"}),
    "no artifacts": (INSPECT, ".", {"experiment": "genmedgpt_embedded"}),
    "no rehearsal": (EXPLORE, ".", {"experiment": "genmedgpt_embedded_rehearsal"}),
    "mistyped": (EXPLORE, ".", {"experiment": "embeded"}),
    "elsewhere": (EXPLORE, "/", {}),
}


@pytest.fixture(scope="module")
def ran(default_run: DefaultRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every job's result; all run in one process, which starts once."""
    folder = tmp_path_factory.mktemp("notebooks")
    jobs = [
        {"notebook": str(ROOT / "notebooks" / notebook), "cwd": str(default_run.project / cwd), "settings": settings}
        | {"evaluate": VALUES[notebook]}
        for notebook, cwd, settings in JOBS.values()
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = run_environment(default_run.project, IPYTHONDIR=str(folder / "ipython"), HOME=str(folder))
    environment["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    command = [sys.executable, "-m", "tests.notebook_shell", str(folder / "jobs.json"), str(folder / "results.json")]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return dict(zip(JOBS, json.loads((folder / "results.json").read_text()), strict=True))


@pytest.fixture(scope="module")
def table(default_run: DefaultRun) -> Callable[[str], pd.DataFrame]:
    """A table of the run by the end of its path."""

    def read(place: str) -> pd.DataFrame:
        folder = newest(default_run.project, place) / Path(place).name
        if folder.suffix == ".csv":
            return pd.read_csv(folder, keep_default_na=False)
        return pd.read_parquet(folder)

    return read


@pytest.fixture(scope="module")
def pairs(default_run: DefaultRun) -> pd.DataFrame:
    """The pairs of all splits, with the split."""
    from med_lora.datasets import ArrowDataset

    tables = []
    for split in ("train", "validation", "test"):
        folder = newest(default_run.project, f"05_model_input/embedded/{split}") / split
        tables.append(ArrowDataset(filepath=str(folder)).load().to_pandas().assign(split=split))
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_files_hold_no_outputs_and_ids_that_stay(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len({*ids}) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in ids)
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_there_are_two_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == [EXPLORE, INSPECT]


@pytest.mark.parametrize("name", ["explore", "inspect", "explore with text", "inspect with text"])
def test_every_cell_runs(ran: dict[str, dict[str, Any]], name: str) -> None:
    result = ran[name]
    cells = json.loads((ROOT / "notebooks" / JOBS[name][0]).read_text())["cells"]
    assert result["error"] == ""
    assert result["cells"] == sum(cell["cell_type"] == "code" for cell in cells)
    assert "Warning" not in result["shown"]


def test_groups_and_words_are_those_of_the_splits(ran: dict[str, dict[str, Any]], pairs: pd.DataFrame) -> None:
    values = ran["explore"]["values"]
    for row in values["groups"]:
        of_split = pairs[pairs["split"] == row["split"]]
        assert row["pairs"] == len(of_split)
        assert row["groups"] == of_split["group"].nunique()
        assert row["shared"] == 0
    assert values["words"]["answer"] == [len(answer.split()) for answer in pairs["answer"]]
    assert values["words"]["corpus"] == list(pairs["corpus"])


def test_rare_topics_have_no_name(ran: dict[str, dict[str, Any]], pairs: pd.DataFrame) -> None:
    topics = {row["topic"]: row["pairs"] for row in ran["explore"]["values"]["topics"]}
    counts = pairs.loc[pairs["focus"] != "", "focus"].value_counts()
    rare = counts[counts < 5]
    assert len(rare) > 5
    assert not {*rare.index} & {*topics}
    assert topics[f"{len(rare)} topics with fewer than 5 pairs"] == rare.sum()
    assert {name: topics[name] for name in counts[counts >= 5].index} == counts[counts >= 5].to_dict()
    assert sum(topics.values()) == len(pairs)


def test_kept_rows_and_licences_are_those_of_the_run(
    ran: dict[str, dict[str, Any]], table: Callable[[str], pd.DataFrame]
) -> None:
    outcomes = table("08_reporting/embedded/row_outcomes.csv").query("corpus != 'all'")
    values = ran["explore"]["values"]
    assert values["kept"] == outcomes.loc[outcomes["outcome"] == "kept", "rows"].sum() > 400
    assert values["licences"] >= 4
    assert values["screened"] == [*outcomes.loc[outcomes["stage"] == "screen", "outcome"].unique()] != []


def test_gains_are_the_comparison_s_differences(
    ran: dict[str, dict[str, Any]], table: Callable[[str], pd.DataFrame]
) -> None:
    comparison = table("08_reporting/embedded/comparison.csv").set_index("metric")
    gains = ran["inspect"]["values"]["gains"]
    assert len(gains) >= 8
    for metric, row in gains.items():
        if metric != "cross_entropy":  # its mean is over tokens
            assert row["mean"] == pytest.approx(float(comparison.loc[metric, "difference_all"]), abs=1e-8)
    assert gains["rougeL"]["not_over_control"] > 0.5
    assert gains["cross_entropy"]["mean"] > 0


def test_worst_pairs_come_first_and_lost(ran: dict[str, dict[str, Any]], table: Callable[[str], pd.DataFrame]) -> None:
    scores = table("08_reporting/embedded/scores.parquet")
    of = scores[scores["metric"] == "rougeL"].pivot(index="id", columns="arm", values="score")
    lost = (of["tuned"] - of["base"])[lambda gain: gain < 0]
    worst = ran["inspect"]["values"]["worst"]
    assert [row["gain"] for row in worst] == pytest.approx(sorted(lost), abs=1e-8)
    assert {row["id"] for row in worst} == {*lost.index}
    assert worst[0]["place"] == min(row["place"] for row in worst) < 10


def test_order_and_choice_of_the_worst_pairs_are_the_user_s(ran: dict[str, dict[str, Any]]) -> None:
    worst = ran["inspect with text"]["values"]["worst"]
    assert len(worst) == 12
    over = [row["over_control"] for row in worst]
    assert over == sorted(over)


def test_flags_and_losses_are_counted_from_the_scores(
    ran: dict[str, dict[str, Any]], table: Callable[[str], pd.DataFrame]
) -> None:
    scores = table("08_reporting/embedded/scores.parquet")
    values = ran["inspect"]["values"]
    for flag, row in values["faults"].items():
        for arm in ("base", "tuned"):
            counted = scores[(scores["arm"] == arm) & (scores["metric"] == flag)]["score"]
            assert (row["pairs"], row[arm]) == (12, counted.sum())
    assert values["faults"]["answer_cut"]["tuned"] > 6
    assert {row["arm"] for row in values["copied"]} == {"base", "tuned", "gold"}
    entropy = scores[(scores["arm"] == "tuned") & (scores["metric"] == "cross_entropy")].set_index("id")["score"]
    assert {row["id"]: row["tuned"] for row in values["losses"]} == pytest.approx(entropy.to_dict())
    assert sum(row["n"] for row in values["parts"] if row["dimension"] == "answer_length") == 12


def sentences_of(texts: pd.Series) -> set[str]:
    """Sentences of five words or more, as words alone."""
    found = {words_of(part) for text in texts for part in re.split(r"(?<=[.!?])\s+|\n+", text)}
    return {sentence for sentence in found if sentence.count(" ") >= 4}


def words_of(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.replace("\\n", " ").lower()))


@pytest.fixture(scope="module")
def private(pairs: pd.DataFrame, table: Callable[[str], pd.DataFrame]) -> set[str]:
    """Sentences of all questions, references and answers, null controls among them."""
    answers = table("07_model_output/embedded/arm_texts")
    found = sentences_of(pd.concat([pairs["question"], pairs["answer"], answers["answer"]]))
    assert len(found) > 200
    return found


@pytest.mark.parametrize("name", ["explore", "inspect", "no artifacts"])
def test_without_the_switch_no_text_and_no_id_is_shown(
    ran: dict[str, dict[str, Any]], private: set[str], pairs: pd.DataFrame, name: str
) -> None:
    shown = f" {words_of(ran[name]['shown'])} "
    assert not [len(sentence) for sentence in private if f" {sentence} " in shown]
    assert not [pair for pair in pairs["id"] if pair in ran[name]["shown"]]


def test_the_switch_shows_some_pairs_and_their_answers(
    ran: dict[str, dict[str, Any]], pairs: pd.DataFrame, table: Callable[[str], pd.DataFrame]
) -> None:
    explored, inspected = (words_of(ran[name]["shown"]) for name in ("explore with text", "inspect with text"))
    of_corpus = pairs[pairs["split"] == "train"].sort_values("id").groupby("corpus").head(2)
    assert all(words_of(answer)[:80] in explored for answer in of_corpus["answer"])
    ids = [row["id"] for row in ran["inspect with text"]["values"]["worst"]]
    answers = table("07_model_output/embedded/tuned_answers").set_index("id")["answer"]
    references = pairs.set_index("id")["answer"]
    for pair in ids[:5]:
        assert words_of(answers[pair]) in inspected
        assert words_of(references[pair])[:80] in inspected
    assert not [pair for pair in ids[5:] if words_of(references[pair])[:80] in inspected]


@pytest.mark.parametrize(
    ("name", "sentence"),
    {
        "no artifacts": "has no headline yet; run `kedro run --params=experiment=genmedgpt_embedded` first",
        "no rehearsal": "has no train yet; run `make rehearse STUDY=genmedgpt_embedded`",
        "mistyped": "There is no experiment 'embeded' in ",
        "elsewhere": "There is no med_lora project in / (",
    }.items(),
)
def test_what_is_missing_ends_a_cell_in_one_sentence(ran: dict[str, dict[str, Any]], name: str, sentence: str) -> None:
    error = ran[name]["error"]
    assert sentence in error
    assert ran[name]["type"] == "InputError"
    assert "Traceback" not in ran[name]["shown"]
    assert len(error.strip().splitlines()) == 1
