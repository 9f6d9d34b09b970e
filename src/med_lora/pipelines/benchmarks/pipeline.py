"""General medical benchmarks: both arms on the exams that training pairs were kept apart from."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.benchmarks.comparison import compare_benchmarks
from med_lora.pipelines.benchmarks.figures import draw_benchmarks
from med_lora.pipelines.benchmarks.harness import answer_benchmarks
from med_lora.pipelines.benchmarks.tasks import collect_questions
from med_lora.pipelines.evaluation.pipeline import create_check, create_sessions, tuned_adapter, tuned_session
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages


def create_pipeline(benchmarks: Sequence[str] = (), stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """``parsed_<name>`` of each benchmark and what training saved to the comparison; empty without a benchmark.

    Args:
        benchmarks: names of corpora, those of ``data_engineering.benchmarks``.
        stages: of the training that made the tuned arm.
    """
    if not benchmarks:
        return Pipeline([])
    questions = node(
        collect_questions,
        inputs=[f"parsed_{name}" for name in benchmarks],
        outputs="benchmark_questions",
        name="collect_questions",
    )
    arms = _create_arm("base", "base_session", None) + _create_arm(
        "tuned", tuned_session(stages), tuned_adapter(stages)
    )
    return Pipeline([questions]) + create_check(stages) + create_sessions(stages) + arms + _create_comparison()


def _create_arm(arm: str, session: str, adapter: str | None) -> Pipeline:
    """One model on all items: ``<arm>_benchmark_items``."""
    inputs = {"session": session, "benchmark_questions": "benchmark_questions"}
    if adapter is not None:
        inputs["adapter"] = adapter
    items = f"{arm}_benchmark_items"
    asked = node(answer_benchmarks, inputs=inputs, outputs=items, name="answer_benchmarks", tags="device")
    return Pipeline([asked], namespace=arm, inputs=set(inputs.values()), outputs={items})


def _create_comparison() -> Pipeline:
    return Pipeline(
        [
            node(
                compare_benchmarks,
                inputs=["benchmark_questions", "base_benchmark_items", "tuned_benchmark_items", "params:evaluation"],
                outputs="benchmark_comparison",
                name="compare_benchmarks",
            ),
            node(
                draw_benchmarks,
                inputs=["benchmark_comparison", "params:evaluation"],
                outputs="benchmark_bars_figure",
                name="draw_benchmarks",
            ),
        ]
    )
