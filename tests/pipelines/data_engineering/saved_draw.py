"""Draws splits from a table of pairs and saves them, run by ``test_splitting`` in a process of its own as well."""

from __future__ import annotations

import sys

import pandas as pd

from med_lora.datasets import ArrowDataset
from med_lora.parameters import SplitParams
from med_lora.pipelines.data_engineering.splitting import split_pairs


def save_draw(pairs: str, folder: str) -> None:
    """Save the splits drawn from a parquet file of pairs below a folder."""
    params = SplitParams(mode="group", train=30, validation=0.1, test=12, seed=0)
    parts = split_pairs(pd.read_parquet(pairs), params)[:3]
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        ArrowDataset(filepath=f"{folder}/{name}").save(part)


if __name__ == "__main__":
    save_draw(*sys.argv[1:])
