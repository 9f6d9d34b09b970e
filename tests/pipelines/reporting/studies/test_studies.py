"""The studies' figures in the configuration: their arithmetic, and what is called impossible."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from pydantic import ValidationError

from med_lora.parameters import PublishedParams, StudyParams

NAMES = {"kim2024_msk", "medlms", "medidialogue", "gpt2_medical_terms", "lund_heart"}


def is_share_of(percentage: str, n: int) -> bool:
    """Whether some whole number of ``n`` items is this percentage, at as many decimals as it is printed with."""
    places = len(percentage.partition(".")[2])
    near = math.floor(float(percentage) * n / 100)
    return any(f"{100 * count / n:.{places}f}" == f"{float(percentage):.{places}f}" for count in (near, near + 1))


def figures(studies: dict[str, StudyParams], name: str) -> dict[tuple[str, str, str], PublishedParams]:
    return {(figure.system, figure.arm, figure.quantity): figure for figure in studies[name].published}


def test_percentages_of_a_hundred_questions_are_whole_numbers() -> None:
    assert is_share_of("46", 100)
    assert is_share_of("46.92", 130)  # 61 of 130
    assert is_share_of("66.7", 3)
    assert not is_share_of("46.92", 100)


def test_every_study_is_there(studies: dict[str, StudyParams]) -> None:
    assert set(studies) == NAMES
    assert all(study.faults and study.settings for study in studies.values())


def test_figures_are_impossible_exactly_where_no_number_of_items_gives_the_percentage(
    studies: dict[str, StudyParams],
) -> None:
    shares = [
        figure
        for study in studies.values()
        for figure in study.published
        if figure.printed.endswith(" %") and figure.n and not figure.quantity.endswith("_gain")
    ]
    assert {figure.system for figure in shares if figure.impossible} == {"Llama-3-8B", "Gemma-1.1-7B", "DistilGPT2"}
    assert len(shares) == 5
    for figure in shares:
        assert bool(figure.impossible) != is_share_of(figure.printed.removesuffix(" %"), figure.n or 0), figure.printed


def test_largest_scores_are_impossible_exactly_below_the_share_of_exact_matches(
    studies: dict[str, StudyParams],
) -> None:
    """The mean of a score is no smaller than the share of answers that score 1, and the largest is no smaller."""
    of = figures(studies, "medlms")
    for system in studies["medlms"].systems:
        for quantity in ("rouge1_max", "token_f1_max"):
            figure = of[system, "tuned", quantity]
            below = figure.value < of[system, "tuned", "exact_match"].value
            assert bool(figure.impossible) == below, (system, quantity)


def test_ratings_of_twenty_items_are_whole_twentieths(studies: dict[str, StudyParams]) -> None:
    ratings = [figure for figure in studies["medidialogue"].published if figure.quantity.startswith("judge_")]
    assert len(ratings) == 8
    for figure in ratings:
        assert (figure.value * 20) == pytest.approx(round(figure.value * 20))
        assert not figure.impossible


@pytest.mark.parametrize("metric", ["bleu", "rouge1", "rouge2", "rougeL", "meteor"])
def test_improvements_follow_from_the_scores_within_their_rounding(
    studies: dict[str, StudyParams], metric: str
) -> None:
    of = {(arm, quantity): figure for (_, arm, quantity), figure in figures(studies, "medidialogue").items()}
    base, tuned = (of[arm, metric] for arm in ("base", "tuned"))
    half = 0.5e-4 * tuned.value / float(tuned.printed)  # of the last printed digit, in the unit here
    low, high = ((tuned.value - half) / (base.value + half) - 1, (tuned.value + half) / (base.value - half) - 1)
    gain = of["tuned", f"{metric}_gain"]
    assert low <= gain.value <= high
    assert not gain.impossible
    assert of["tuned", f"{metric}_difference"].value == pytest.approx(tuned.value - base.value)


def test_perplexity_of_the_encyclopaedia_study_does_not_follow_from_its_loss(studies: dict[str, StudyParams]) -> None:
    of = figures(studies, "gpt2_medical_terms")
    losses = [of["GPT-2", "tuned", f"validation_loss@{step}"].value for step in (100, 200, 300)]
    after = of["GPT-2", "tuned", "perplexity"]
    assert losses == [2.526371, 2.027913, 1.963163]
    assert math.exp(losses[-1]) == pytest.approx(7.12, abs=0.005)
    assert losses[-1] - math.log(after.value) > 5 * (losses[1] - losses[2])
    assert "7.12" in after.impossible
    assert not of["GPT-2", "base", "perplexity"].impossible


def test_values_are_the_printed_numbers_in_the_units_of_this_project(studies: dict[str, StudyParams]) -> None:
    checked = 0
    for study in studies.values():
        for figure in study.published:
            number = re.match(r"\+?\d+(\.\d+)?(?= %$| s\b|,| of 5| \(|$)", figure.printed)
            if number is None:
                continue  # in words, checked by the tests above
            checked += 1
            percent, metric = figure.printed.endswith("%"), re.sub(r"_.*", "", figure.quantity)
            factor = 0.01 if percent else 100 if metric == "bleu" else 1
            assert figure.value == pytest.approx(float(number[0]) * factor), figure
    assert checked > 60


def test_p_values_and_counts_are_those_of_the_two_tracks(studies: dict[str, StudyParams]) -> None:
    tested = {
        figure.quantity: (figure.p_value, figure.n)
        for figure in studies["medidialogue"].published
        if figure.p_value is not None
    }
    assert tested == {
        "bleu": (0.0040, 84),
        "rouge1": (0.0070, 84),
        "rouge2": (0.0162, 84),
        "rougeL": (0.0100, 84),
        "meteor": (0.0450, 84),
        "judge_accuracy": (0.6868, 20),
        "judge_comprehensiveness": (0.4026, 20),
        "judge_helpfulness": (0.7605, 20),
        "judge_relevance": (0.6889, 20),
    }


def test_holm_correction_leaves_the_published_p_values_where_the_fault_says(studies: dict[str, StudyParams]) -> None:
    from med_lora.statistics.paired import holm

    corrected = holm([0.0040, 0.0070, 0.0162, 0.0100, 0.0450])
    assert (min(corrected), max(corrected)) == (pytest.approx(0.020), pytest.approx(0.045))
    assert any(".020 to .045" in fault for fault in studies["medidialogue"].faults)


def test_steps_of_the_encyclopaedia_study_are_nine_tenths_of_its_pages(studies: dict[str, StudyParams]) -> None:
    steps = figures(studies, "gpt2_medical_terms")["GPT-2", "tuned", "training_steps"].value
    batch = studies["gpt2_medical_terms"].settings["training.optimisation.effective_batch_size"]
    assert steps * float(str(batch)) / 6861 == pytest.approx(0.9, abs=0.001)


def test_figure_of_an_unknown_system_is_refused_with_the_nearest(raw_studies: dict[str, Any]) -> None:
    figure = raw_studies["medlms"]["published"][0] | {"system": "Llama-2-7b"}
    with pytest.raises(ValidationError, match=r"did you mean 'Llama-2-7B'"):
        StudyParams.model_validate(raw_studies["medlms"] | {"published": [figure]})


def test_a_system_has_its_own_figures_and_those_of_all(studies: dict[str, StudyParams]) -> None:
    study = studies["medlms"]
    own = study.figures_of("DistilGPT2")
    assert {figure.system for figure in own} == {"DistilGPT2", "all"}
    assert study.figures_of("") == study.published
