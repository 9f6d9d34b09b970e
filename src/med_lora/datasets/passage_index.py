"""The index of passages on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from med_lora.datasets.folder import FolderDataset
from med_lora.retrieval.index import PassageIndex

PASSAGES, EMBEDDINGS, RECORD = "passages.parquet", "embeddings.safetensors", "index.json"


class PassageIndexDataset(FolderDataset[PassageIndex, PassageIndex]):
    """A ``PassageIndex``: passages as parquet, embeddings as safetensors (absent for ``bm25``), its record as JSON.

    Equal indexes give equal bytes. The statistics of BM25 are not stored: counting words anew takes 1.7 s of CPU for
    30,000 passages of 120 words. There is no preview: the text may be private.
    """

    def _write(self, folder: Path, data: PassageIndex) -> None:
        from safetensors.numpy import save_file

        data.passages.to_parquet(folder / PASSAGES, index=False, compression="zstd")
        if data.embeddings is not None:
            save_file({"embeddings": data.embeddings}, folder / EMBEDDINGS)
        record = json.dumps(data.described, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (folder / RECORD).write_text(record + "\n", encoding="utf-8")

    def _read(self, folder: Path) -> PassageIndex:
        from safetensors.numpy import load_file

        embeddings = folder / EMBEDDINGS
        return PassageIndex(
            passages=pd.read_parquet(folder / PASSAGES),
            embeddings=load_file(embeddings)["embeddings"] if embeddings.exists() else None,
            described=json.loads((folder / RECORD).read_text(encoding="utf-8")),
        )
