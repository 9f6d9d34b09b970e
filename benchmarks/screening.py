"""Time of the privacy screening on real corpora, one thread, and the share of texts in which it finds each class.

    python benchmarks/screening.py CORPORA

CORPORA is a folder with the publishers' files: ``medquad/*.zip``, ``genmedgpt5k/*.json`` and ``wikidoc/*.json``. Prints
a line a corpus: texts, megabytes, seconds of processor time a megabyte, and the texts with each class. The text is
cleaned first, outside the measured time. Nothing of the text is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from med_lora.datasets import CorpusDataset
from med_lora.parameters import ScreeningParams
from med_lora.pipelines.data_engineering.screening import PLACEHOLDERS, Screener
from med_lora.pipelines.data_engineering.text import clean_text

CORPORA = {
    "genmedgpt5k": ("alpaca", "genmedgpt5k/*.json", ("input", "output")),
    "wikidoc": ("alpaca", "wikidoc/*.json", ("input", "output")),
    "medquad": ("medquad", "medquad/*.zip", ("question", "answer")),
}


def read_corpora(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and cleaned questions and answers of each corpus in the folder; those of MedQuAD that have an answer."""
    for name, (layout, files, columns) in CORPORA.items():
        dataset = CorpusDataset(name=name, corpora={name: {"layout": layout, "files": files}}, root=str(folder))
        table = pd.concat(dataset.load(), ignore_index=True)
        if layout == "medquad":
            table = table[table["answer"] != ""]
        yield name, [clean_text(text) for column in columns for text in table[column]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path)
    screener = Screener(ScreeningParams(**dict.fromkeys(PLACEHOLDERS, "mask"), presidio=False))
    for name, texts in read_corpora(parser.parse_args().corpora):
        found: Counter[str] = Counter()
        started = time.process_time()
        for text in texts:
            found.update(screener.screen(text).found)
        seconds = time.process_time() - started
        megabytes = sum(map(len, texts)) / 1e6
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(found.items())) or "nothing"
        sys.stdout.write(
            f"{name}: {len(texts)} texts, {megabytes:.1f} MB, {seconds / megabytes:.3f} s per MB; texts with {counts}\n"
        )


if __name__ == "__main__":
    main()
