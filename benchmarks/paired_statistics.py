"""Seconds for all null controls and all statistics of thousands of test pairs, and for the bootstrap alone.

    python benchmarks/paired_statistics.py [--pairs 10000] [--repeats 3] [--processes 2] [--raw FOLDER]

With --raw (or MED_LORA_RAW), questions and answers are those of GenMedGPT-5k and WikiDoc in that folder, repeated as
often as needed; without, they are made up. Half the pairs are trained on. The scores compared are random: their values
cost nothing.
Wall seconds depend on what else the machine does, so CPU seconds are given too.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.parameters import EvaluationParams, HardwareParams
from med_lora.parameters.evaluation import DecodingParams
from med_lora.pipelines.evaluation.comparison.arms import compare_arms
from med_lora.pipelines.evaluation.comparison.retrieval import compare_retrieval
from med_lora.pipelines.evaluation.controls.texts import collect_texts
from med_lora.pipelines.evaluation.scores.scoring import score_corpus, score_overlap
from med_lora.statistics.resampling import resample

OVERLAP = ("rouge1", "rouge2", "rougeL", "bleu", "chrf", "meteor", "exact_match", "token_f1")
CONDUCT = ("length_ratio", "repeated_4grams", "unsupported_numbers", "unsupported_doses", "disclaimer", "refusal")
FLAGS = ("answer_cut", "answer_empty", "prompt_truncated")
CORPORA = {"genmedgpt": "genmedgpt5k/*.json", "wikidoc": "wikidoc/*.json"}


class Table(NamedTuple):
    """A split as the catalog hands it over."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def evaluation() -> EvaluationParams:
    decoding = DecodingParams(
        max_new_tokens=128, temperature=0.0, top_k=None, top_p=1.0, repetition_penalty=1.0, seed=1
    )
    return EvaluationParams(
        engine="transformers",
        endpoints={},
        decoding=decoding,
        confidence=0.95,
        exclude=["answer_cut", "answer_empty"],
        rouge_beta=1.0,
        bert_score=None,
        embedding=None,
        bootstrap_samples=10_000,
        power=0.8,
        seed=1,
    )


def read_texts(raw: str) -> list[tuple[str, str]]:
    from med_lora.datasets import CorpusDataset

    pairs: list[tuple[str, str]] = []
    for name, files in CORPORA.items():
        tables = CorpusDataset(name=name, corpora={name: {"layout": "alpaca", "files": files}}, root=raw).load()
        pairs += [pair for table in tables for pair in zip(table["input"], table["output"], strict=True) if all(pair)]
    return pairs


def invent_texts(count: int) -> list[tuple[str, str]]:
    """Questions of about 25 and answers of about 50 words, with frequent and rare ones (Zipf)."""
    draw = np.random.default_rng(1)
    words = [f"w{min(number, 20_000)}" for number in draw.zipf(1.3, count * 80)]
    places = iter(range(0, len(words), 80))
    return [(" ".join(words[place : place + 25]), " ".join(words[place + 25 : place + 75])) for place in places]


def make_split(texts: list[tuple[str, str]], count: int, name: str) -> Table:
    drawn = random.Random(name).choices(texts, k=count)
    frame = pd.DataFrame(drawn, columns=["question", "answer"])
    return Table(frame.assign(id=[f"{name}:{place:06d}" for place in range(count)], group=range(count)))


def make_scores(texts: pd.DataFrame, ids: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores of every arm, the metrics, and the losses of both models."""
    draw, parts = np.random.default_rng(2), []
    for arm, rows in texts.groupby("arm", sort=False):
        names = CONDUCT if arm == "gold" else OVERLAP + CONDUCT
        scores = {name: draw.random(len(ids)) for name in names}
        if (rows["kind"] == "model").all():
            scores |= {flag: (draw.random(len(ids)) < 0.03).astype(float) for flag in FLAGS}
        wide = pd.DataFrame(scores).assign(id=list(ids), group=range(len(ids)), arm=arm)
        parts.append(wide.melt(id_vars=["id", "group", "arm"], var_name="metric", value_name="score"))
    metrics = [Metric("perplexity", "loss", "lower", True, ""), Metric("bits_per_byte", "loss", "lower", False, "")]
    metrics += [Metric(name, "overlap", "higher", True, "") for name in OVERLAP]
    metrics += [Metric(name, "conduct", "lower", False, "") for name in CONDUCT]
    metrics += [Metric(name, "flag", "lower", False, "") for name in FLAGS]
    tokens = draw.integers(20, 90, len(ids))
    losses = [
        pd.DataFrame({"id": list(ids), "tokens": tokens, "nll": tokens * draw.random(len(ids)), "answer_bytes": tokens})
        for _ in range(2)
    ]
    return pd.concat(parts, ignore_index=True), tabulate_metrics(metrics), losses[0], losses[1]


def processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def time_it(work: Callable[[], Any], repeats: int) -> str:
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), processor_seconds()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(processor_seconds() - used)
    return (
        f"median {statistics.median(wall):.2f} s, range {min(wall):.2f} to {max(wall):.2f}; "
        f"CPU {statistics.median(cpu):.2f} s, range {min(cpu):.2f} to {max(cpu):.2f}; n = {repeats}"
    )


def time_lexical(
    test: Table, arm_texts: pd.DataFrame, scores: pd.DataFrame, settings: EvaluationParams, given: argparse.Namespace
) -> None:
    """Lexical scores of all arms, which take long and so are measured once, and the scores of the corpus."""
    hardware = HardwareParams(
        device="cpu",
        gpu="",
        precision="fp32",
        micro_batch_size=1,
        inference_batch_size=1,
        threads=given.processes,
        attention="sdpa",
        packing=False,
        gradient_checkpointing=False,
        processes=1,
        machines=1,
        rendezvous=None,
        sharding="ddp",
    )
    found: list[pd.DataFrame] = []
    taken = time_it(lambda: found.extend(score_overlap(arm_texts, test, settings, hardware)), 1)
    sys.stdout.write(f"lexical scores of all arms, {given.processes} processes: {taken}\n")
    taken = time_it(lambda: score_corpus(found[2], scores, settings), given.repeats)
    sys.stdout.write(f"scores of the corpus, {settings.bootstrap_samples} resamples: {taken}\n")


def time_retrieval(texts: pd.DataFrame, ids: pd.Series, settings: EvaluationParams, repeats: int) -> None:
    """Four arms in five contrasts."""
    models = texts[texts["kind"] == "model"]
    scores, metrics, *losses = make_scores(pd.concat([texts, models.assign(arm=models["arm"] + "_rag")]), ids)
    named = {}
    for arm, table in zip(("base", "tuned"), losses, strict=True):
        helped = table.assign(nll=table["nll"] * np.random.default_rng(4).random(len(table)))
        named |= {f"{arm}_losses": table, f"{arm}_rag_losses": helped}
    taken = time_it(lambda: compare_retrieval(scores, metrics, settings, **named), repeats)
    sys.stdout.write(f"statistics of arms with passages: {taken}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--raw", default=os.environ.get("MED_LORA_RAW"))
    given = parser.parse_args()
    texts = read_texts(given.raw) if given.raw else invent_texts(given.pairs)
    half = len(texts) // 2
    test, train = make_split(texts[:half], given.pairs, "test"), make_split(texts[half:], given.pairs, "train")
    answers = pd.DataFrame(
        {"id": test.frame["id"], "answer": test.frame["answer"].sample(frac=1, random_state=1).array}
    )
    settings = evaluation()
    arm_texts = collect_texts(test, train, settings, base=answers, tuned=answers)
    tables = make_scores(arm_texts, test.frame["id"])
    write = sys.stdout.write
    write(f"{given.pairs} pairs, {tables[0]['arm'].nunique()} arms, {len(tables[1])} metrics, {os.cpu_count()} cores\n")
    taken = time_it(lambda: collect_texts(test, train, settings, base=answers, tuned=answers), given.repeats)
    write(f"controls: {taken}\n")
    write(f"statistics: {time_it(lambda: compare_arms(*tables, settings), given.repeats)}\n")
    time_retrieval(arm_texts, test.frame["id"], settings, given.repeats)
    time_lexical(test, arm_texts, tables[0], settings, given)
    for pairs in (500, 2000, given.pairs):
        scores = np.random.default_rng(3).random((pairs, 2))
        items = pd.DataFrame(scores, columns=pd.MultiIndex.from_product([["base", "tuned"], ["rougeL"]]))
        groups = pd.Series(range(pairs))

        def bootstrap(items: pd.DataFrame = items, groups: pd.Series = groups) -> None:
            over = resample(items, groups, settings.bootstrap_samples, settings.seed)
            (over.mean(("tuned", "rougeL")) - over.mean(("base", "rougeL"))).interval(settings.confidence)

        taken = time_it(bootstrap, given.repeats)
        write(f"paired bootstrap of one metric, {settings.bootstrap_samples} resamples of {pairs} pairs: {taken}\n")


if __name__ == "__main__":
    main()
