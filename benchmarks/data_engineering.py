"""Wall time and peak memory of data engineering, from raw corpora to splits.

    python benchmarks/data_engineering.py real --raw FOLDER [--runs 3]     all corpora of conf/base in FOLDER
    python benchmarks/data_engineering.py scaling [--rounds 3] [--chart docs/data_engineering_scaling.png]

``scaling`` runs synthetic corpora of 1x, 4x and 16x 5,000 rows in turn, round by round, so that other work on the
machine meets each size alike, and compares the time per row beyond the start of Kedro (a run of 200 rows). The chart
needs chromium. Reads the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = 5_000
FEW = 200
SCALES = (1, 4, 16)
SYNTHETIC = """
description: Time of data engineering on synthetic rows.
corpora:
  synthetic: {{layout: pairs, title: Synthetic rows, licence: CC0-1.0, files: "{file}"}}
data_engineering:
  corpora: [synthetic]
"""
# One of the four textbooks is under a non-commercial licence; nothing is trained on it here.
REAL = """
description: Time of data engineering on the publishers' corpora.
corpora:
  medical_terms: {licence: CC-BY-4.0, files: medical_terms/medical_terms_llama2_format.parquet}
  textbooks: {licence: CC-BY-NC-SA-4.0}
data_engineering:
  corpora: [genmedgpt, wikidoc, medquad, medical_terms, textbooks]
  allow_licences: [CC-BY-NC-SA-4.0]
"""


@contextmanager
def experiments(files: dict[str, str]) -> Iterator[Path]:
    """A copy of the configuration with these experiments; what their runs wrote is removed afterwards."""
    with tempfile.TemporaryDirectory() as temporary:
        conf = Path(temporary) / "conf"
        shutil.copytree(ROOT / "conf", conf)
        for name, text in files.items():
            (conf / "experiments" / f"{name}.yml").write_text(text)
        try:
            yield conf
        finally:
            for folder in (folder for name in files for folder in (ROOT / "data").glob(f"*/{name}")):
                shutil.rmtree(folder)


def measure(arguments: list[str], **variables: str) -> tuple[float, float]:
    """Seconds and GiB (largest resident set of one process) of one ``kedro run --pipelines=data_engineering``."""
    code = (
        "import resource, subprocess, sys; "
        "result = subprocess.run([sys.executable, '-m', 'kedro', *sys.argv[1:]], stdout=sys.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(result.returncode)"
    )
    command = [sys.executable, "-c", code, "run", "--pipelines=data_engineering", *arguments]
    started = time.perf_counter()
    result = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, check=False)
    if result.returncode:
        sys.exit(result.stderr.decode()[-2000:])
    return time.perf_counter() - started, int(result.stdout) / 2**20


def write_rows(file: Path, count: int) -> None:
    """Pairs of invented words, every twentieth a near copy of the one before; the same on every machine."""
    draw = random.Random(count)
    vocabulary = ["".join(draw.choices("abdegiklmnoprstu", k=draw.randint(3, 10))) for _ in range(20_000)]
    words: list[str] = []
    with file.open("w", encoding="utf-8") as lines:
        for row in range(count):
            if row % 20 or not words:
                words = draw.choices(vocabulary, k=draw.randint(30, 150))
            else:
                words = [*words[:-1], draw.choice(vocabulary)]
            topic = " ".join(draw.choices(vocabulary, k=2))
            pair = {"question": f"What is the treatment of {topic}?", "answer": f"The {topic} is {' '.join(words)}."}
            lines.write(json.dumps(pair) + "\n")


def report(name: str, figures: list[tuple[float, float]]) -> None:
    for kind, unit, values in zip(("time", "peak memory"), ("s", "GiB"), zip(*figures, strict=True), strict=True):
        middle = statistics.median(values)
        sys.stdout.write(
            f"{name}: {kind}: median {middle:.2f} {unit}, range {min(values):.2f} to {max(values):.2f}, "
            f"n = {len(values)}\n"
        )
    sys.stdout.flush()


def real(raw: str, runs: int) -> None:
    """All corpora of ``conf/base`` in the publishers' files."""
    with experiments({"all_corpora": REAL}) as conf:
        arguments = [f"--conf-source={conf}", "--params=experiment=all_corpora"]
        report("all corpora", [measure(arguments, MED_LORA_RAW=raw) for _ in range(runs)])


def scaling(rounds: int, chart: Path | None) -> None:
    """Time per row at each scale."""
    figures: dict[int, list[tuple[float, float]]] = {scale: [] for scale in (0, *SCALES)}
    with tempfile.TemporaryDirectory() as rows:
        texts = {}
        for scale in figures:
            file = Path(rows) / f"{scale}x.jsonl"
            write_rows(file, scale * ROWS or FEW)
            texts[f"synthetic_{scale}x"] = SYNTHETIC.format(file=file)
        with experiments(texts) as conf:
            for _ in range(rounds):
                for scale, measured in figures.items():
                    measured.append(measure([f"--conf-source={conf}", f"--params=experiment=synthetic_{scale}x"]))
    for scale, measured in figures.items():
        report(f"{scale * ROWS or FEW} rows", measured)
    start = [seconds for seconds, _ in figures.pop(0)]
    per_row = {
        scale * ROWS: [(seconds - start[turn]) / (scale * ROWS) * 1e3 for turn, (seconds, _) in enumerate(measured)]
        for scale, measured in figures.items()
    }
    smallest = statistics.median(per_row[ROWS])
    for rows, values in per_row.items():
        sys.stdout.write(
            f"{rows} rows: {statistics.median(values):.3f} ms a row, "
            f"{statistics.median(values) / smallest:.2f} times that of {ROWS} rows\n"
        )
    if chart:
        draw(per_row, {scale * ROWS: [memory for _, memory in figures[scale]] for scale in SCALES}, chart)


def draw(per_row: dict[int, list[float]], memory: dict[int, list[float]], chart: Path) -> None:
    """Two panels over the number of rows: time a row, and peak memory; whiskers from least to most."""
    from plotly.subplots import make_subplots

    rounds = len(next(iter(per_row.values())))
    figure = make_subplots(rows=1, cols=2, subplot_titles=("Time a row beyond start-up", "Peak memory"))
    for column, (unit, values) in enumerate((("ms", per_row), ("GiB", memory)), start=1):
        middles = [statistics.median(found) for found in values.values()]
        figure.add_scatter(
            x=list(values),
            y=middles,
            error_y={
                "array": [max(found) - middle for found, middle in zip(values.values(), middles, strict=True)],
                "arrayminus": [middle - min(found) for found, middle in zip(values.values(), middles, strict=True)],
            },
            mode="lines+markers",
            line_color="#0072B2",
            row=1,
            col=column,
        )
        figure.update_xaxes(type="log", tickvals=list(values), title=f"rows (median of {rounds} runs)", col=column)
        figure.update_yaxes(rangemode="tozero", title=unit, col=column)
    figure.update_layout(template="plotly_white", showlegend=False, width=900, height=380)
    with tempfile.TemporaryDirectory() as temporary:
        page = Path(temporary) / "chart.html"
        figure.write_html(page, include_plotlyjs=True, config={"displayModeBar": False})
        switches = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=920,400", "--hide-scrollbars"]
        wait = "--virtual-time-budget=5000"
        subprocess.run(["chromium", *switches, wait, f"--screenshot={chart}", f"file://{page}"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    modes = parser.add_subparsers(dest="mode", required=True)
    of_real = modes.add_parser("real")
    of_real.add_argument("--raw", required=True)
    of_real.add_argument("--runs", type=int, default=3)
    of_scaling = modes.add_parser("scaling")
    of_scaling.add_argument("--rounds", type=int, default=3)
    of_scaling.add_argument("--chart", type=Path)
    options = parser.parse_args()
    if options.mode == "real":
        real(options.raw, options.runs)
    else:
        scaling(options.rounds, options.chart)
    sys.stdout.write(f"{os.cpu_count()} cores\n")


if __name__ == "__main__":
    main()
