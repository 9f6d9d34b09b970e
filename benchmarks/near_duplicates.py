"""Time and peak memory of deduplication, grouping and splitting, and of the leakage table, on synthetic pairs.

    python benchmarks/near_duplicates.py [--rows 5000] [--scales 1 4 16]

Each scale runs in a process of its own. Pairs are made of a vocabulary with word frequencies after Zipf; one pair of
ten repeats an earlier one with a word changed, and eight pairs share a focus. Prints a line a scale: processor time of
each step (so that other work on the machine hardly shows), and the peak memory beyond that of the input.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from med_lora.parameters import DeduplicationParams, SplitParams
from med_lora.pipelines.data_engineering.deduplication import deduplicate
from med_lora.pipelines.data_engineering.leakage import measure_leakage
from med_lora.pipelines.data_engineering.splitting import split_pairs

VOCABULARY = 20_000
WORDS = 160


def synthetic(rows: int) -> pd.DataFrame:
    """Cleaned pairs as they enter the deduplication."""
    generator = np.random.default_rng(0)
    weights = 1 / np.arange(1, VOCABULARY + 1)
    drawn = generator.choice(VOCABULARY, size=(rows, WORDS + 12), p=weights / weights.sum())
    for row in range(10, rows, 10):
        drawn[row] = drawn[generator.integers(row)]
        drawn[row, generator.integers(WORDS)] = generator.integers(VOCABULARY)
    texts = [[f"w{number}" for number in numbers] for numbers in drawn]
    table = pd.DataFrame(
        {
            "id": [f"synthetic:{row:08d}" for row in range(rows)],
            "corpus": "synthetic",
            "source": "",
            "document": "",
            "focus": [f"topic {row // 8}" for row in range(rows)],
            "concepts": "",
            "question_type": "",
            "question": [" ".join(words[:12]) for words in texts],
            "answer": [" ".join(words[12:]) for words in texts],
            "choice": "",
            "licence": "CC0-1.0",
            "screened": "",
            "reason": "",
        }
    )
    return table.astype("str")


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    started = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - started


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(rows: int) -> str:
    table = synthetic(rows)
    before = peak_mib()
    (kept, rejected), first = timed(deduplicate, DeduplicationParams(near_jaccard=0.5, permutations=128), table)
    split = SplitParams(mode="group", train=None, validation=0.05, test=0.1, seed=0)
    (*splits, _), second = timed(split_pairs, kept, split)
    _, third = timed(measure_leakage, *splits)
    return (
        f"{rows} rows: deduplicate {first:.1f} s ({len(rejected)} rejected), split {second:.1f} s, "
        f"leakage {third:.1f} s, peak {peak_mib() - before:.0f} MiB beyond the {before:.0f} MiB of the input"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 4, 16])
    options = parser.parse_args()
    if options.scales == [1]:
        sys.stdout.write(measure(options.rows) + "\n")
        return
    for scale in options.scales:
        command = [sys.executable, __file__, "--rows", str(scale * options.rows), "--scales", "1"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
