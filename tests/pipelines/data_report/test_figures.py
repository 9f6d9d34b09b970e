"""The figures hold exactly the numbers of the tables, say so where there are none, and survive the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro_datasets.plotly import JSONDataset

from med_lora.parameters import TrainingParams
from med_lora.pipelines.data_report.bars import SPLIT_COLOURS, STAGE_COLOURS
from med_lora.pipelines.data_report.figures import (
    _bin_edges,
    plot_leakage,
    plot_lengths,
    plot_outcomes,
    plot_question_types,
)

from .conftest import Table


def of_types(*types: str) -> Table:
    return Table(pd.DataFrame({"question_type": list(types)}, dtype="str"))


def lengths(split: str, prompts: list[int], answers: list[int]) -> pd.DataFrame:
    rows = {"split": split, "corpus": "medquad", "id": "", "prompt_tokens": prompts, "answer_tokens": answers}
    return pd.DataFrame(rows)


def shown(figure: Any) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_outcome_bars_hold_every_row(outcomes: pd.DataFrame, parameters: dict[str, Any]) -> None:
    figure = plot_outcomes(outcomes, parameters["params:corpora"])
    *stages, reasons = figure.data
    rows = {bar.name: [int(count.replace(",", "")) for count in bar.customdata] for bar in stages}
    assert rows == {
        "kept": [120, 110],
        "left out: read": [0, 1],
        "left out: parse": [60, 0],
        "left out: clean": [10, 0],
        "left out: deduplicate": [6, 9],
        "left out: decontaminate": [4, 0],
    }
    assert list(stages[0].x) == pytest.approx([60.0, 100 * 110 / 120])
    assert [sum(part) for part in zip(*(bar.x for bar in stages), strict=True)] == pytest.approx([100, 100])
    assert list(figure.layout.yaxis.ticktext) == ["MedQuAD<br>n = 200", "Exchanges<br>n = 120"]
    assert dict(zip(figure.layout.yaxis2.ticktext, reasons.x, strict=True)) == {
        **{"malformed json": 1, "empty answer": 60, "answer too short": 7, "screened names": 3},
        **{"near duplicate": 9, "exact duplicate": 6, "in benchmark exam": 4},
    }
    assert figure.layout.title.subtitle.text == "n = 320 rows read from 2 corpora"
    assert figure.layout.meta["caption"].startswith("230 of 320 rows were kept (72 %).")
    assert figure.layout.xaxis.title.text == "share of the rows read (%)"


def test_rare_reasons_are_added_up_by_stage(parameters: dict[str, Any]) -> None:
    rows = [("medquad", 1000, "clean", f"reason_{rows:02d}", rows) for rows in range(1, 16)]
    outcomes = pd.DataFrame(rows, columns=["corpus", "rows_read", "stage", "outcome", "rows"])
    figure = plot_outcomes(outcomes, parameters["params:corpora"])
    assert list(figure.layout.yaxis2.ticktext) == [
        *(f"reason {rows:02d}" for rows in range(15, 3, -1)),
        "other reasons",
    ]
    assert list(figure.data[-1].x) == [*range(15, 3, -1), 1 + 2 + 3]


def test_nothing_left_out_is_said(parameters: dict[str, Any]) -> None:
    rows = [("generated", 9, "keep", "kept", 9)]
    outcomes = pd.DataFrame(rows, columns=["corpus", "rows_read", "stage", "outcome", "rows"])
    figure = plot_outcomes(outcomes, parameters["params:corpora"])
    assert shown(figure) == ["no row was left out"]
    assert figure.layout.yaxis.ticktext == ("generated<br>n = 9",)
    assert shown(plot_outcomes(outcomes[:0], parameters["params:corpora"])) == ["No row was read."]


def test_colours_of_stages_and_splits_differ() -> None:
    assert len(set(STAGE_COLOURS.values())) == len(STAGE_COLOURS)
    assert len(set(SPLIT_COLOURS.values())) == len(SPLIT_COLOURS)


def test_histograms_hold_every_pair_and_the_share_beyond(training: TrainingParams) -> None:
    table = pd.concat([lengths("train", [10, 10, 10, 40], [90, 91, 20, 10]), lengths("test", [5], [95])])
    figure = plot_lengths(table, training)
    assert [trace.name for trace in figure.data] == ["train", "test"] * 3
    assert all(sum(trace.y) == pytest.approx(100) for trace in figure.data)
    prompts = {edge: share for edge, share in zip(figure.data[0].x, figure.data[0].y, strict=True) if share}
    (low, most), (high, fewer) = prompts.items()
    assert low <= 10 < high <= 40
    assert (most, fewer) == (75.0, 25.0)
    assert sum(count for _, count in figure.data[4].customdata) == 4
    assert shown(figure)[:3] == ["prompt", "answer", "prompt + answer; over max_length: train 25 %, test 0 %"]
    assert figure.layout.shapes[0].x0 == training.max_length
    assert figure.layout.meta["caption"] == (
        "Prompt and answer together are longer than 100 tokens in 1 of 4 train pairs (25 %), 0 of 1 test pairs (0 %)."
    )
    assert figure.layout.xaxis3.title.text == "tokens of the base model's tokenizer (logarithmic)"


@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (1, 7), (3, 5000), (48, 49)])
def test_bins_hold_every_length_between_empty_ones(shortest: int, longest: int) -> None:
    edges = _bin_edges(shortest, longest)
    assert edges[0] <= shortest
    assert edges[-1] > longest
    assert edges == sorted(set(edges))
    assert edges[0] == 1 or edges[1] <= shortest


def test_lengths_without_pairs_say_so(training: TrainingParams) -> None:
    figure = plot_lengths(lengths("train", [], []), training)
    assert not figure.data
    assert shown(figure) == ["No split holds a pair."]


def test_question_types_are_shares_of_the_typed_pairs() -> None:
    train = of_types("causes", "causes", "symptoms", "dose", "")
    figure = plot_question_types(train, of_types("", ""), of_types("symptoms"))
    assert [(bars.name, list(bars.x)) for bars in figure.data] == [
        ("train, n = 4", [50.0, 25.0, 25.0]),
        ("test, n = 1", [0.0, 100.0, 0.0]),
    ]
    assert list(figure.layout.yaxis.ticktext) == ["causes", "symptoms", "dose"]
    assert figure.layout.title.subtitle.text == "n = 5 of 8 pairs, those with a question type"
    assert figure.layout.meta["caption"] == "Of 5 pairs with a question type, 2 have the type “causes” (40 %)."


def test_types_after_the_ninth_are_added_up() -> None:
    names = [f"type {number:02d}" for number in range(12)]
    repeated = [name for number, name in enumerate(names) for _ in range(20 - number)]
    figure = plot_question_types(of_types(*repeated), of_types(), of_types())
    (bars,) = figure.data
    assert list(figure.layout.yaxis.ticktext) == [*names[:9], "3 other types"]
    assert list(bars.text) == [*(str(20 - number) for number in range(9)), str(11 + 10 + 9)]


def test_no_question_type_is_said() -> None:
    figure = plot_question_types(of_types(""), of_types(), of_types(""))
    assert shown(figure) == ["No pair carries a question type; its corpora name none."]


def test_leakage_bars_are_shares_with_counts(leakage: pd.DataFrame) -> None:
    figure = plot_leakage(leakage)
    assert [(bars.name, list(bars.x), list(bars.text)) for bars in figure.data] == [
        ("validation, n = 20", [0.0, 25.0], ["0 of 20", "5 of 20"]),
        ("test, n = 30", [0.0, 10.0], ["0 of 30", "3 of 30"]),
    ]
    assert list(figure.layout.yaxis.ticktext) == ["exact question", "same focus"]
    assert "3 of 30 test pairs (10 %) share their disease or topic" in figure.layout.meta["caption"]


def test_no_leakage_is_said_and_not_drawn(leakage: pd.DataFrame) -> None:
    figure = plot_leakage(leakage.assign(pairs=0, share=0.0))
    assert not figure.data
    assert shown(figure) == ["No pair has a counterpart in training, of 2 kinds looked for."]


def test_leakage_of_an_empty_split_is_not_drawn(leakage: pd.DataFrame) -> None:
    empty = leakage.assign(**{"of": leakage["of"].where(leakage["split"] == "test", 0)})
    assert [bars.name for bars in plot_leakage(empty).data] == ["test, n = 30"]
    assert shown(plot_leakage(leakage[:0])) == ["Leakage was not measured."]


def test_names_from_the_data_are_no_tags(outcomes: pd.DataFrame, parameters: dict[str, Any]) -> None:
    hostile = '<a href="x">y</a>'
    titled = {name: {**corpus, "title": hostile} for name, corpus in parameters["params:corpora"].items()}
    labels = [
        *plot_outcomes(outcomes, titled).layout.yaxis.ticktext,
        *plot_question_types(of_types(hostile), of_types(), of_types()).layout.yaxis.ticktext,
    ]
    assert all("<a" not in label and "&lt;a" in label for label in labels)


def test_figures_survive_the_catalog(
    outcomes: pd.DataFrame, leakage: pd.DataFrame, training: TrainingParams, parameters: dict[str, Any], tmp_path: Path
) -> None:
    figures = [
        plot_outcomes(outcomes, parameters["params:corpora"]),
        plot_lengths(lengths("train", [10], [30]), training),
        plot_question_types(of_types("causes"), of_types(), of_types()),
        plot_leakage(leakage),
    ]
    for place, figure in enumerate(figures):
        dataset = JSONDataset(filepath=str(tmp_path / f"{place}.json"))
        dataset.save(figure)
        assert dataset.load() == figure
