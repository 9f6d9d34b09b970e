"""How often intervals of rank correlations cover, how often unrelated tracks give a false alarm, and seconds.

    python benchmarks/rank_correlations.py [--simulations 2000] [--resamples 1000] [--tables 400]

All data are made up: pairs of normal measures with a known Spearman correlation, one of them also rounded to a scale
from 1 to 5 as a judge's, and tables of two text metrics and four axes for tracks that have nothing to do with each
other, with an arm that scores higher in both. A share p of s simulations has a standard error of sqrt(p (1 - p) / s).
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np

from med_lora.statistics.correlation import detectable_correlation, rank_correlations, unrelated_p
from med_lora.statistics.paired import holm

CONFIDENCE, ALPHA, CHANCE = 0.95, 0.05, 0.8
write = sys.stdout.write


def draw(count: int, strength: float, generator: np.random.Generator, rated: bool) -> np.ndarray:
    """[count, 2] with Spearman's correlation ``strength``, before rounding the second to a scale from 1 to 5."""
    inner = 2 * math.sin(math.pi * strength / 6)
    first, noise = generator.normal(size=(2, count))
    second = inner * first + math.sqrt(1 - inner**2) * noise
    return np.stack([first, np.clip(np.round(3 + second), 1, 5) if rated else second], axis=1)


def find_truth(strength: float, rated: bool) -> float:
    from scipy.stats import spearmanr

    return round(float(spearmanr(draw(1_000_000, strength, np.random.default_rng(0), rated))[0]), 3)


def cover(count: int, strength: float, rated: bool, simulations: int, resamples: int) -> str:
    truth, covered, found, width = find_truth(strength, rated), 0, 0, 0.0
    for seed in range(simulations):
        values = draw(count, strength, np.random.default_rng([seed, count]), rated)
        matrix = rank_correlations(values, np.arange(count), resamples, seed)
        low, high = matrix.pair(0, 1).coefficient_interval(CONFIDENCE)
        covered += low <= truth <= high
        width += high - low
        found += unrelated_p(values[:, :1], values[:, 1:], 1) < ALPHA
    return (
        f"n = {count}, {'one rated 1 to 5' if rated else 'both continuous'}, true correlation {truth:.2f}: "
        f"{covered / simulations:.3f} of {CONFIDENCE} intervals cover, mean width {width / simulations:.2f}, "
        f"{found / simulations:.3f} of tests below {ALPHA}"
    )


def alarm(count: int, tables: int) -> str:
    """The share of tables with any adjusted p-value below ALPHA, of 8 differences and 8 pooled answers."""
    alarms, single = 0, 0
    gain = np.array([0.0, 1.0])
    for seed in range(tables):
        generator = np.random.default_rng([seed, count, 7])
        shared = generator.normal(size=(2, 1, count, 2))  # metrics of a track resemble each other
        texts = 0.8 * shared[0] + 0.6 * generator.normal(size=(2, count, 2)) + gain
        axes = np.clip(np.round(3 + 0.8 * shared[1] + 0.6 * generator.normal(size=(4, count, 2)) + gain), 1, 5)
        p = [
            unrelated_p(*values, 1)
            for text in texts
            for axis in axes
            for values in ((text, axis), (np.diff(text), np.diff(axis)))
        ]
        alarms += min(holm(p)) < ALPHA
        single += sum(value < ALPHA for value in p)
    return (
        f"n = {count}: {alarms / tables:.3f} of tables have a false alarm after Holm, {single / tables / 16:.3f} of "
        "tests before it"
    )


def time_table(count: int, columns: int, resamples: int) -> str:
    values = np.random.default_rng(0).normal(size=(count, columns))
    start = time.process_time()
    rank_correlations(values, np.arange(count), resamples, 1)
    seconds = time.process_time() - start
    return f"all correlations of {columns} columns, {count} items, {resamples} resamples: {seconds:.1f} s of CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--tables", type=int, default=400)
    given = parser.parse_args()
    write(f"{given.simulations} simulations of {given.resamples} resamples\n")
    for count in (20, 84):
        for strength in (0.0, detectable_correlation(count, CHANCE, ALPHA), 0.8):
            for rated in (False, True):
                write(cover(count, strength, rated, given.simulations, given.resamples) + "\n")
    write(f"{given.tables} tables of 16 tests\n")
    for count in (20, 84):
        write(alarm(count, given.tables) + "\n")
    for count, resamples in ((500, 2000), (500, 10_000), (2000, 10_000)):
        write(time_table(count, 16, resamples) + "\n")


if __name__ == "__main__":
    main()
