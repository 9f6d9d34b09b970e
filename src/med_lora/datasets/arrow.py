"""Hugging Face datasets on disk, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from med_lora.datasets.folder import FolderDataset
from med_lora.datasets.manifest import manifest_sha256

if TYPE_CHECKING:
    from datasets import Dataset

FILE_NAME = "data.arrow"
ROWS_PER_BATCH = 1000


class ArrowDataset(FolderDataset["Dataset", "Dataset"]):
    """A ``datasets.Dataset`` as one Arrow stream, ``data.arrow``, which ``datasets.Dataset.from_file`` reads as well.

    Rows, column types and features are kept; formats, transforms and the description of the dataset are not. Equal
    rows and features give equal bytes, whatever selections and concatenations led to them. A loaded dataset is
    memory-mapped and has no cache files, so nothing that is done with it writes into the folder; its fingerprint
    comes from the manifest. There is no preview: the text may be private.
    """

    def _write(self, folder: Path, data: Dataset) -> None:
        import pyarrow as pa
        from datasets import Dataset

        if not isinstance(data, Dataset):
            raise TypeError(f"ArrowDataset saves a datasets.Dataset, not a {type(data).__name__}")
        schema = data.features.arrow_schema
        rows = data.with_format("arrow")
        with pa.OSFile(str(folder / FILE_NAME), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for start in range(0, len(data), ROWS_PER_BATCH):
                batch = rows[start : start + ROWS_PER_BATCH].cast(schema).combine_chunks().to_batches()[0]
                # Taking copies into buffers of exact size, so that the bytes do not tell how the table came about.
                writer.write_batch(batch.take(pa.array(range(len(batch)), pa.int64())))

    def _read(self, folder: Path) -> Dataset:
        import pyarrow as pa
        from datasets import Dataset
        from datasets.table import InMemoryTable

        table = pa.ipc.open_stream(pa.memory_map(str(folder / FILE_NAME))).read_all()
        return Dataset(InMemoryTable(table), fingerprint=manifest_sha256(folder)[:16])
