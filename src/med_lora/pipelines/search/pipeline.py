"""Search: the best settings of an experiment by a figure on its validation pairs."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.search.figures import draw_history, draw_importance
from med_lora.pipelines.search.nodes import draw_search, rank_trials, run_search, tabulate_trials, write_best
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages

PARAMETERS = ("experiment", "model", "prompt", "training", "evaluation", "search", "hardware")


def create_pipeline(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """``train``, ``validation`` and what instruction tuning starts from to the artifacts of a search.

    Args:
        stages: of the experiment; continued pre-training comes before every trial alike.
    """
    inputs = {
        "base_model": stages.base,
        "train": "train",
        "validation": "validation",
        **{name: f"params:{name}" for name in PARAMETERS},
        "folder": "search_folder",
    }
    if stages.start:
        inputs["start"] = stages.start
    return Pipeline(
        [
            node(run_search, inputs=inputs, outputs="search_results", name="run_search", tags="device"),
            node(rank_trials, inputs="search_results", outputs="search_ranking", name="rank_trials"),
            node(
                tabulate_trials,
                inputs=["search_results", "search_ranking"],
                outputs="search_trials",
                name="tabulate_trials",
            ),
            node(
                write_best,
                inputs=["search_ranking", "experiment_settings", "params:experiment"],
                outputs="search_best",
                name="write_best_trial",
            ),
            node(draw_search, inputs="search_ranking", outputs="search_slices_figure", name="draw_search"),
            node(draw_history, inputs="search_results", outputs="search_history_figure", name="draw_search_history"),
            node(
                draw_importance,
                inputs=["search_results", "params:search"],
                outputs="search_importance_figure",
                name="draw_importance",
            ),
        ]
    )
