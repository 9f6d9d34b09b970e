"""People who rate: blind sheets go out, and what comes back is read, measured and compared."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.people.agreement import measure_agreement
from med_lora.pipelines.people.comparison import compare_ratings, score_ratings
from med_lora.pipelines.people.returned import read_ratings
from med_lora.pipelines.people.sheets import make_rating_sheets


def create_sheets_pipeline() -> Pipeline:
    """``test`` and ``arm_texts`` to ``rating_sheets``, which go to the raters, and ``rating_key``, which does not."""
    return Pipeline(
        [
            node(
                make_rating_sheets,
                inputs=["test", "arm_texts", "params:people", "params:experiment"],
                outputs=["rating_sheets", "rating_key"],
                name="make_rating_sheets",
            )
        ]
    )


def create_ratings_pipeline() -> Pipeline:
    """``returned_sheets`` and ``rating_key`` to ratings, their ``agreement`` and ``ratings_comparison``."""
    return Pipeline(
        [
            node(
                read_ratings,
                inputs=["returned_sheets", "rating_key", "params:people"],
                outputs=["ratings", "rating_preferences", "rating_comments", "ratings_report"],
                name="read_ratings",
            ),
            node(
                measure_agreement,
                inputs=["ratings", "rating_preferences", "params:evaluation"],
                outputs="agreement",
                name="measure_agreement",
            ),
            node(
                score_ratings,
                inputs=["ratings", "rating_preferences"],
                outputs=["rating_scores", "rating_metrics"],
                name="score_ratings",
            ),
            node(
                compare_ratings,
                inputs=["rating_scores", "rating_metrics", "params:evaluation"],
                outputs="ratings_comparison",
                name="compare_ratings",
            ),
        ]
    )
