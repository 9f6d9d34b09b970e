"""Divergence: every track's scores to correlations, disagreements, a figure and a verdict in words."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.divergence.agreement import find_disagreements, judge_people_agreement
from med_lora.pipelines.divergence.correlations import correlate_tracks
from med_lora.pipelines.divergence.figures import draw_divergence
from med_lora.pipelines.divergence.track_scores import gather_tracks
from med_lora.pipelines.divergence.verdict import write_verdict

EVALUATION = "params:evaluation"


def create_pipeline(judge: bool = False, people: bool = False) -> Pipeline:
    """``scores`` and the scores of judge and people to ``divergence_verdict``; empty without either.

    Args:
        judge: whether a judge scored the answers.
        people: whether people's ratings are there, be it that nobody has rated yet.
    """
    if not (judge or people):
        return Pipeline([])
    rated = ["judge_scores", "judge_metrics"] * judge + ["rating_scores", "rating_metrics"] * people
    gathered = {name: name for name in ("scores", "metrics", *rated)}
    ranked = {name: name for name in ("track_scores", *["judge_summary"] * judge)}
    told = ["judge_comparison", "judge_summary"] * judge + ["ratings_comparison"] * people
    told += ["judge_agreement"] * (judge and people)
    verdict = {name: name for name in ("divergence", "comparison", *told)} | {"evaluation": EVALUATION}
    nodes = [
        node(gather_tracks, inputs=gathered, outputs="track_scores", name="gather_tracks"),
        node(correlate_tracks, inputs=["track_scores", EVALUATION], outputs="divergence", name="correlate_tracks"),
        node(find_disagreements, inputs=ranked, outputs="disagreements", name="find_disagreements"),
        node(
            draw_divergence,
            inputs=ranked | {"divergence": "divergence", "evaluation": EVALUATION},
            outputs="divergence_figure",
            name="draw_divergence",
        ),
        node(write_verdict, inputs=verdict, outputs="divergence_verdict", name="write_verdict"),
    ]
    if judge and people:
        nodes.append(
            node(
                judge_people_agreement,
                inputs=["judge_scores", "rating_scores", EVALUATION],
                outputs="judge_agreement",
                name="judge_people_agreement",
            )
        )
    return Pipeline(nodes)
