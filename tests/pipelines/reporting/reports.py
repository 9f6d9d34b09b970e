"""A report written from the tables of a run."""

from __future__ import annotations

from typing import Any

from med_lora.pipelines.reporting.figures import draw_epoch_scores, draw_loss_curve, draw_perplexity, draw_scores
from med_lora.pipelines.reporting.headline import write_headline
from med_lora.pipelines.reporting.pipeline import SHOWN_SETTINGS
from med_lora.pipelines.reporting.report import write_report
from med_lora.pipelines.reporting.sections import choose_examples, describe_data, describe_settings
from med_lora.pipelines.reporting.worst_pairs import find_errors

TABLES = ("comparison", "controls", "corpus_scores", "subgroups", "forgetting", "as_published")
OF_DATA = ("row_outcomes", "train", "validation", "test", "corpora", "data_summary", "training")


def make_report(inputs: dict[str, Any], **sections: Any) -> str:
    """The report of ``inputs``, which go by their names in the catalog, with further sections and figures."""
    given = {name.removeprefix("params:"): value for name, value in inputs.items()}
    comparison, controls, evaluation = (given[name] for name in ("comparison", "controls", "evaluation"))
    answers = {arm: given[f"{arm}_answers"] for arm in ("base", "tuned")}
    figures = {
        "loss_curve_figure": draw_loss_curve(given["training_history"], given["training"]),
        "epoch_scores_figure": draw_epoch_scores(given["training_history"]),
        "perplexity_bars_figure": draw_perplexity(comparison, evaluation),
        "score_bars_figure": draw_scores(comparison, controls, evaluation),
    }
    shown = {
        "headline": write_headline(comparison, controls, given["experiment"], evaluation, given["canaries"]),
        "examples": choose_examples(given["test"], given["reporting"], evaluation, **answers),
        "errors": find_errors(given["test"], given["scores"], comparison, given["reporting"], evaluation, **answers),
        "data": describe_data(*(given[name] for name in (*OF_DATA, "continued_pretraining"))),
        "settings": describe_settings(**{name: given[name] for name in SHOWN_SETTINGS}),
        "run": given["report_run"],
        "datasheet": given["datasheet"],
        "checklists": given["report_checklists"],
    }
    return write_report(**{name: given[name] for name in TABLES}, **{**shown, **figures, **sections})
