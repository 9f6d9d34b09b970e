"""Time of training against tokens: 1x, 4x and 16x the rows, one epoch each.

    MED_LORA_RAW=FOLDER python benchmarks/training_scaling.py [--rows 16] [--rounds 5]
        [--chart docs/training_scaling.png]

A random Llama of 11 M weights, LoRA of rank 16, GenMedGPT-5k (without MED_LORA_RAW: its lengths), fp32, the recipe of
the CPU. The scales take turns, round by round, so that other work on the machine meets each alike. Validation, whose
cost goes by its own rows, is left out; the set-up of a run is counted. The chart needs chromium. Reads the clock.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from training_rows import machine, made_up_rows, make_model, real_rows, recipe

from med_lora.engine import fit

SCALES = (1, 4, 16)


def measure(rows: int, rounds: int) -> dict[int, list[float]]:
    """Seconds of each round by the tokens trained on."""
    raw = os.environ.get("MED_LORA_RAW")
    count = rows * max(SCALES)
    tokenizer, found = real_rows(raw, count) if raw else made_up_rows(count)
    model, hardware = make_model("10m"), machine("fp32")
    parts = [found["genmedgpt"][: rows * scale] for scale in SCALES]
    seconds: dict[int, list[float]] = {sum(len(row["input_ids"]) for row in part): [] for part in parts}
    fit(copy.deepcopy(model), tokenizer, parts[0], [], recipe(4), hardware)  # what is loaded once
    for _ in range(rounds):
        for part, taken in zip(parts, seconds.values(), strict=True):
            trained = copy.deepcopy(model)
            started = time.perf_counter()
            fit(trained, tokenizer, part, [], recipe(4), hardware)
            taken.append(time.perf_counter() - started)
    return seconds


def draw(seconds: dict[int, list[float]], chart: Path) -> None:
    """Seconds over tokens, both logarithmic, with the line on which cost is linear; whiskers from least to most."""
    from plotly.graph_objects import Figure

    figure = Figure()
    tokens, middles = list(seconds), [statistics.median(taken) for taken in seconds.values()]
    figure.add_scatter(
        x=tokens,
        y=[middles[0] * count / tokens[0] for count in tokens],
        mode="lines",
        line={"color": "#999999", "dash": "dot"},
        name="linear from 1x",
    )
    figure.add_scatter(
        x=tokens,
        y=middles,
        error_y={
            "array": [max(taken) - middle for taken, middle in zip(seconds.values(), middles, strict=True)],
            "arrayminus": [middle - min(taken) for taken, middle in zip(seconds.values(), middles, strict=True)],
        },
        mode="lines+markers",
        line_color="#0072B2",
        name=f"median of {len(next(iter(seconds.values())))} runs",
    )
    figure.update_xaxes(type="log", tickvals=tokens, title="training tokens")
    figure.update_yaxes(type="log", title="seconds")
    figure.update_layout(template="plotly_white", width=620, height=400, legend={"x": 0.02, "y": 0.98})
    with tempfile.TemporaryDirectory() as temporary:
        page = Path(temporary) / "chart.html"
        figure.write_html(page, include_plotlyjs=True, config={"displayModeBar": False})
        switches = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=640,420", "--hide-scrollbars"]
        wait = "--virtual-time-budget=5000"
        subprocess.run(["chromium", *switches, wait, f"--screenshot={chart}", f"file://{page}"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chart", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    seconds = measure(options.rows, options.rounds)
    smallest, first = next(iter(seconds.items()))
    for tokens, taken in seconds.items():
        ratios = [own / tokens / (base / smallest) for own, base in zip(taken, first, strict=True)]
        sys.stdout.write(
            f"{tokens} tokens: median {statistics.median(taken):.2f} s, range {min(taken):.2f} to {max(taken):.2f}, "
            f"n = {len(taken)}; time a token {statistics.median(ratios):.2f} times that of {smallest} tokens "
            f"({min(ratios):.2f} to {max(ratios):.2f})\n"
        )
    if options.chart:
        draw(seconds, options.chart)


if __name__ == "__main__":
    main()
