"""Answers in batches against one at a time, and against ``generate`` of transformers, at equal answers.

    python benchmarks/answer_speed.py [--questions 48] [--rounds 5] [--new-tokens 128] [--chart docs/answer_speed.png]

The embedded base model in fp32 on one thread, asked questions of the embedded corpora, greedily. It seldom ends an
answer by itself; in the second setting a full stop ends one, so that lengths differ as those of a tuned model do. The
ways take turns, round by round, so that other work on the machine meets each alike; all have to give the same tokens.
Seconds are of CPU time. The chart needs chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from med_lora.datasets.base_model import BaseModelDataset
from med_lora.generation.batches import batch_by_length, pad
from med_lora.generation.engine import complete
from med_lora.parameters import PromptParams
from med_lora.parameters.evaluation import DecodingParams
from med_lora.prompts import PairTokeniser

ROOT = Path(__file__).parents[1]
CORPORA = ("genmedgpt5k/chatdoctor5k.json", "wikidoc/medical_meadow_wikidoc_patient_information.json")
SIZES = (1, 4, 16, 32)
Answers = list[list[int]]
Way = Callable[[], Answers]


def make_prompts(questions: int, tokenizer: Any) -> list[list[int]]:
    """Token ids of so many questions, an equal share of each corpus."""
    texts = []
    for corpus in CORPORA:
        records = json.loads((ROOT / "data" / "01_raw" / "embedded" / corpus).read_text(encoding="utf-8"))
        texts += [record["input"] for record in records[: questions // len(CORPORA)]]
    prompts = PairTokeniser(PromptParams(template="plain", system=None), tokenizer).prompts(texts, 256)
    return [ids for ids, _ in prompts]


def ask_engine(
    size: int, model: Any, prompts: list[list[int]], ends: set[int], pad_token: int, decoding: DecodingParams
) -> Answers:
    """Answers of this project's engine."""
    return [found.tokens for found in complete(model, prompts, ends, pad_token, decoding, size)]


def ask_transformers(
    size: int, model: Any, prompts: list[list[int]], ends: set[int], pad_token: int, decoding: DecodingParams
) -> Answers:
    """Answers of ``generate`` on the same batches."""
    import torch
    from transformers import GenerationConfig

    limit = decoding.max_new_tokens
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=limit, pad_token_id=pad_token, eos_token_id=sorted(ends)
    )
    answers: Answers = [[] for _ in prompts]
    for batch in batch_by_length(prompts, size):
        rows = [prompts[index] for index in batch]
        ids, mask = pad(rows, pad_token, "left"), pad([[1] * len(row) for row in rows], 0, "left")
        with torch.inference_mode():
            output = model.generate(input_ids=ids, attention_mask=mask)
        for index, new in zip(batch, output[:, ids.shape[1] :].tolist(), strict=True):
            answers[index] = new[: next((place for place, token in enumerate(new) if token in ends), limit)]
    return answers


def measure(ways: dict[str, Way], rounds: int) -> tuple[dict[str, list[float]], Answers]:
    """CPU seconds of each way in each round, and the answers, which are the same."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    expected: Answers | None = None
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.process_time()
            answers = way()
            seconds[name].append(time.process_time() - started)
            expected = expected or answers
            if answers != expected:
                raise SystemExit(f"{name} gives other answers than {next(iter(ways))}")
    assert expected is not None
    return seconds, expected


def compare(seconds: dict[str, list[float]], name: str, base: str) -> list[float]:
    """How many times as long ``base`` took as ``name``, round by round."""
    return [first / own for first, own in zip(seconds[base], seconds[name], strict=True)]


def draw(found: dict[str, dict[str, list[float]]], chart: Path) -> None:
    """Speed against one question at a time, over the batch size; whiskers from least to most."""
    from plotly.graph_objects import Figure

    figure = Figure()
    for (setting, seconds), colour in zip(found.items(), ("#0072B2", "#D55E00"), strict=True):
        for way, dash in (("engine", "solid"), ("generate", "dot")):
            ratios = [compare(seconds, f"{way} {size}", "engine 1") for size in SIZES]
            middles = [statistics.median(ratio) for ratio in ratios]
            figure.add_scatter(
                x=SIZES,
                y=middles,
                error_y={
                    "array": [max(ratio) - middle for ratio, middle in zip(ratios, middles, strict=True)],
                    "arrayminus": [middle - min(ratio) for ratio, middle in zip(ratios, middles, strict=True)],
                },
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                name=f"{'this engine' if way == 'engine' else 'generate of transformers'}, {setting}",
            )
    figure.update_xaxes(type="log", tickvals=SIZES, title="batch size")
    figure.update_yaxes(title="times as fast as one at a time", rangemode="tozero")
    figure.update_layout(template="plotly_white", width=720, height=420, legend={"x": 0.02, "y": 0.98})
    with tempfile.TemporaryDirectory() as temporary:
        page = Path(temporary) / "chart.html"
        figure.write_html(page, include_plotlyjs=True, config={"displayModeBar": False})
        switches = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=740,440", "--hide-scrollbars"]
        wait = "--virtual-time-budget=5000"
        subprocess.run(["chromium", *switches, wait, f"--screenshot={chart}", f"file://{page}"], check=True)


def report(setting: str, seconds: dict[str, list[float]], answers: Answers) -> None:
    """Medians and ranges to standard output."""
    lengths = sorted(map(len, answers))
    spread = f"{lengths[0]} to {lengths[-1]} tokens, mean {statistics.mean(lengths):.0f}"
    sys.stdout.write(f"{setting}: {len(answers)} answers of {spread}\n")
    for name, taken in seconds.items():
        ratios = compare(seconds, name, "engine 1")
        sys.stdout.write(
            f"  {name}: median {statistics.median(taken):.2f} s; {statistics.median(ratios):.2f} times as fast as one "
            f"at a time ({min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)})\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--chart", type=Path)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    base = BaseModelDataset(id=str(ROOT / "data" / "06_models" / "embedded-base")).load()
    model, tokenizer = base.model("float32").eval(), base.tokenizer()
    prompts = make_prompts(options.questions, tokenizer)
    decoding = DecodingParams(
        max_new_tokens=options.new_tokens, temperature=0.0, top_k=None, top_p=1.0, repetition_penalty=1.0, seed=1
    )
    eos = {tokenizer.eos_token_id}
    stops = eos | {token for token in range(len(tokenizer)) if "." in tokenizer.decode([token])}
    found = {}
    for setting, ends in {"most answers reach the limit": eos, "answers end at a full stop": stops}.items():
        given: dict[str, Any] = {
            "model": model, "prompts": prompts, "ends": ends, "pad_token": tokenizer.pad_token_id, "decoding": decoding
        }  # fmt: skip
        asking = {"engine": ask_engine, "generate": ask_transformers}
        ways: dict[str, Way] = {
            f"{name} {size}": partial(ask, size, **given) for size in SIZES for name, ask in asking.items()
        }
        found[setting], answers = measure(ways, options.rounds)
        report(setting, found[setting], answers)
    if options.chart:
        draw(found, options.chart)


if __name__ == "__main__":
    main()
