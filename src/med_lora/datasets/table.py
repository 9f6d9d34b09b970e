"""Tables as parquet files, whole in memory or in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from med_lora.chunks import Chunks
from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.folder import FolderDataset

FILE_NAME = "data.parquet"

Table = pd.DataFrame | Chunks


class TableDataset(FolderDataset[Table, Table]):
    """A table in one parquet file, ``data.parquet``; equal tables in equal chunks give equal bytes.

    Saving takes a DataFrame, or Chunks that are written as they are made, so that a table larger than the memory passes
    through. There is no preview: the text may be private.
    """

    def __init__(self, *, chunk_rows: int | None = None, **options: Any) -> None:
        """Point the dataset to a folder.

        Args:
            chunk_rows: load as Chunks of at most so many rows; None loads a DataFrame.
            options: those of ``FolderDataset``.
        """
        super().__init__(**options)
        self._chunk_rows = chunk_rows

    def _write(self, folder: Path, data: Table) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        chunks = iter([data] if isinstance(data, pd.DataFrame) else data)
        first = next(chunks, None)
        if first is None:
            raise DatasetInputError(f"{self._place(self._filepath.as_posix())} would be a table without a chunk.")
        table = pa.Table.from_pandas(first, preserve_index=False)
        with pq.ParquetWriter(str(folder / FILE_NAME), table.schema, compression="zstd") as writer:
            writer.write_table(table)
            for chunk in chunks:
                writer.write_table(pa.Table.from_pandas(chunk, schema=table.schema, preserve_index=False))

    def _read(self, folder: Path) -> Table:
        file = folder / FILE_NAME
        return pd.read_parquet(file) if self._chunk_rows is None else Chunks(lambda: self._chunks(file))

    def _chunks(self, file: Path) -> Iterator[pd.DataFrame]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as parquet:
            empty = parquet.schema_arrow.empty_table()
            is_empty = True
            for batch in parquet.iter_batches(batch_size=self._chunk_rows):
                is_empty = False
                yield pa.Table.from_batches([batch]).to_pandas()
            if is_empty:  # the columns of a table without rows
                yield empty.to_pandas()
