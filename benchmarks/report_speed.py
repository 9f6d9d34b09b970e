"""CPU seconds of the figures and of the HTML report, with as many test pairs as asked for.

    python benchmarks/report_speed.py [--experiment embedded] [--pairs 10000] [--repeats 3]

It needs a finished run of the experiment, whose tables are read through the catalog. Tables with a row a pair are
repeated under new ids, with a little noise in the scores so that no two are alike. The nodes of the pipeline
``reporting`` then run one after the other in this process, by themselves: without Kedro's runner and without saving.
The record of the run that they describe lies in a temporary folder. Nodes whose inputs the run did not leave are named
and left out.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]


class Table(NamedTuple):
    """A split as the catalog hands it over."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()

    def __len__(self) -> int:
        return len(self.frame)


def repeat(table: pd.DataFrame, pairs: int) -> pd.DataFrame:
    """``table`` over ``pairs`` ids, each old one under several names."""
    ids = sorted(table["id"].unique())
    copies = math.ceil(pairs / len(ids))
    parts = [table.assign(id=[f"{old}#{copy:05d}" for old in table["id"]]) for copy in range(copies)]
    grown = pd.concat(parts, ignore_index=True)
    kept = sorted(f"{old}#{copy:05d}" for copy in range(copies) for old in ids)[:pairs]
    grown = grown[grown["id"].isin(set(kept))].reset_index(drop=True)
    if "group" in grown:
        grown = grown.assign(group=pd.factorize(grown["id"])[0])
    return _roughen(grown) if "score" in grown else grown


def _roughen(scores: pd.DataFrame) -> pd.DataFrame:
    """Noise of a thousandth; what is 0 or 1 stays so, since flags and exact matches are."""
    noise = np.random.default_rng(1).uniform(0.999, 1.001, len(scores))
    return scores.assign(score=scores["score"].where(scores["score"].isin([0.0, 1.0]), scores["score"] * noise))


def grow(value: Any, pairs: int) -> Any:
    """A dataset with a row a pair, grown; anything else as it is."""
    if isinstance(value, pd.DataFrame):
        return repeat(value, pairs) if "id" in value and len(value) else value
    if hasattr(value, "to_pandas") and hasattr(value, "column_names"):
        return Table(repeat(value.to_pandas(), pairs)) if "id" in value.column_names else value
    return value


def open_project(experiment: str, folder: str) -> tuple[Any, Any]:
    """The pipeline ``reporting`` and the catalog, with the record of a run that is kept in ``folder``."""
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.io import MemoryDataset

    from med_lora.runs.record import RunRecord

    bootstrap_project(ROOT)
    context = KedroSession.create(ROOT, runtime_params={"experiment": experiment}).load_context()
    catalog = context.catalog
    run = {"run_id": "benchmark", "project_path": folder, "pipeline_names": ["reporting"]}
    record = RunRecord(run, "base", context.config_loader["parameters"], {})
    catalog["run_record"] = MemoryDataset(record, copy_mode="assign")
    return pipelines["reporting"], catalog


def read_inputs(pipeline: Any, catalog: Any, pairs: int) -> dict[str, Any]:
    """Every input of the pipeline that can be loaded, by name."""
    from kedro.io.core import DatasetError

    found = {}
    for name in sorted(pipeline.inputs()):
        try:
            found[name] = grow(catalog.load(name), pairs)
        except DatasetError as error:
            say(f"no {name}: {str(error).splitlines()[0][:90]}")
    return found


def run_nodes(pipeline: Any, given: dict[str, Any]) -> dict[str, float]:
    """CPU seconds of each node that has its inputs, in order."""
    values, seconds = dict(given), {}
    for node in pipeline.nodes:
        if not set(node.inputs) <= set(values):
            continue
        started = time.process_time()
        values |= node.run({name: values[name] for name in node.inputs})
        seconds[node.name] = time.process_time() - started
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", default="embedded")
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options, folder)


def measure(options: argparse.Namespace, folder: str) -> None:
    """Run the nodes as often as asked for, and say what they took."""
    pipeline, catalog = open_project(options.experiment, folder)
    given = read_inputs(pipeline, catalog, options.pairs)
    if "scores" in given:
        say(f"scores: {len(given['scores']):,} rows, {given['scores']['arm'].nunique()} arms")
    run_nodes(pipeline, given)  # imports are not counted
    rounds = [run_nodes(pipeline, given) for _ in range(options.repeats)]
    left_out = [node.name for node in pipeline.nodes if node.name not in rounds[0]]
    say(f"left out: {', '.join(left_out) or 'no node'}")
    say(f"CPU seconds, median of {options.repeats} [least, most], {options.pairs:,} pairs")
    for name in rounds[0]:
        report(name, [seconds[name] for seconds in rounds])
    report("figures", [sum(part for name, part in of.items() if "draw_" in name) for of in rounds])
    report("all", [sum(of.values()) for of in rounds])


def report(name: str, seconds: list[float]) -> None:
    say(f"{name:38s} {statistics.median(seconds):7.2f} [{min(seconds):.2f}, {max(seconds):.2f}]")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
