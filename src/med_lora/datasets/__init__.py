"""Datasets that the Kedro ecosystem lacks: raw corpora, whole folders that appear atomically, and a pinned base model.

The classes are imported on first use, so that naming one in a catalog costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from med_lora.datasets.adapter import AdapterDataset
    from med_lora.datasets.arrow import ArrowDataset
    from med_lora.datasets.base_model import BaseModel, BaseModelDataset
    from med_lora.datasets.call_cache import CallCacheDataset
    from med_lora.datasets.corpus import CorpusDataset
    from med_lora.datasets.encoder import Encoder, EncoderDataset
    from med_lora.datasets.folder import FolderDataset
    from med_lora.datasets.mlflow_runs import MlflowRunsDataset
    from med_lora.datasets.passage_index import PassageIndexDataset
    from med_lora.datasets.pretrained import Pretrained, PretrainedDataset, PretrainedFolder, SavedFolder
    from med_lora.datasets.rating_sheets import RatingSheetsDataset, ReturnedSheetsDataset
    from med_lora.datasets.report import ReportDataset
    from med_lora.datasets.runs import FinishedRun, FinishedRuns, RunsDataset
    from med_lora.datasets.table import TableDataset
    from med_lora.datasets.text_files import TextFilesDataset
    from med_lora.datasets.work_folder import WorkFolder, WorkFolderDataset

__all__ = [
    "AdapterDataset",
    "ArrowDataset",
    "BaseModel",
    "BaseModelDataset",
    "CallCacheDataset",
    "CorpusDataset",
    "Encoder",
    "EncoderDataset",
    "FinishedRun",
    "FinishedRuns",
    "FolderDataset",
    "MlflowRunsDataset",
    "PassageIndexDataset",
    "Pretrained",
    "PretrainedDataset",
    "PretrainedFolder",
    "RatingSheetsDataset",
    "ReportDataset",
    "ReturnedSheetsDataset",
    "RunsDataset",
    "SavedFolder",
    "TableDataset",
    "TextFilesDataset",
    "WorkFolder",
    "WorkFolderDataset",
]

_MODULES = {
    "AdapterDataset": "adapter",
    "ArrowDataset": "arrow",
    "BaseModel": "base_model",
    "BaseModelDataset": "base_model",
    "CallCacheDataset": "call_cache",
    "CorpusDataset": "corpus",
    "Encoder": "encoder",
    "EncoderDataset": "encoder",
    "FinishedRun": "runs",
    "FinishedRuns": "runs",
    "FolderDataset": "folder",
    "MlflowRunsDataset": "mlflow_runs",
    "PassageIndexDataset": "passage_index",
    "Pretrained": "pretrained",
    "PretrainedDataset": "pretrained",
    "PretrainedFolder": "pretrained",
    "RatingSheetsDataset": "rating_sheets",
    "ReportDataset": "report",
    "ReturnedSheetsDataset": "rating_sheets",
    "RunsDataset": "runs",
    "SavedFolder": "pretrained",
    "TableDataset": "table",
    "TextFilesDataset": "text_files",
    "WorkFolder": "work_folder",
    "WorkFolderDataset": "work_folder",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
