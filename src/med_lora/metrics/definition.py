"""A metric as a row of the comparison, and the tables in which metrics and scores travel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Literal

import pandas as pd

Family = Literal["loss", "overlap", "meaning", "choice", "conduct", "copying", "grounding", "judge", "people", "flag"]
SCORE_COLUMNS = ["id", "arm", "metric", "score"]


@dataclass(frozen=True)
class Metric:
    """One row of the comparison.

    Attributes:
        name: as in the tables.
        family: what it is computed from: losses of the reference answers, words shared with the reference, meaning
            compared by an encoder, the choice an answer ends with, its conduct (repetition, refusal, ...), words copied
            from training answers, its footing in the passages given, the rating of a judge or of people, or facts about
            its generation.
        better: the direction of improvement; "neither" for a description such as the length.
        tested: whether the arms are tested for a difference. What only describes, or repeats another metric in
            another unit, would cost the others power in the correction for multiple tests.
        signature: libraries with their versions and settings, as a paper would state them.
        missing: why no answer could be scored (a package, a model or data that is not there), in one clause; "" if they
            were.
    """

    name: str
    family: Family
    better: Literal["lower", "higher", "neither"]
    tested: bool
    signature: str
    missing: str = ""


def tabulate_metrics(metrics: Iterable[Metric]) -> pd.DataFrame:
    """One row a metric, the attributes of :class:`Metric` as columns."""
    return pd.DataFrame([asdict(metric) for metric in metrics], columns=[field.name for field in fields(Metric)])


def read_metrics(table: pd.DataFrame) -> list[Metric]:
    """The metrics of such a table, also of one that a CSV file gave back."""
    rows = table.assign(missing=table["missing"].fillna("")).to_dict("records")
    return [Metric(**{str(key): value for key, value in row.items()}) for row in rows]


def lengthen(wide: pd.DataFrame, arm: str) -> pd.DataFrame:
    """A table with a column ``id`` and one a metric as rows of ``SCORE_COLUMNS``."""
    long = wide.melt(id_vars="id", var_name="metric", value_name="score").assign(arm=arm)
    return long[SCORE_COLUMNS]
