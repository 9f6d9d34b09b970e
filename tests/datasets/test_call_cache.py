"""The cache of calls as a dataset of the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DatasetError

from med_lora.datasets.call_cache import CallCacheDataset
from med_lora.errors import InputError
from med_lora.llm.answers import Completion

ANSWER = Completion("An answer", "model", "stop", 1, 2)


def test_the_handle_adds_to_the_file(tmp_path: Path) -> None:
    dataset = CallCacheDataset(filepath=str(tmp_path / "deep" / "calls.jsonl"))
    assert not dataset.exists()
    with dataset.load().opened() as cache:
        cache.append("a", "here", ANSWER)
    assert dataset.exists()
    with dataset.load().opened() as cache:
        assert cache.get("a") == ANSWER
        assert cache.get("b") is None
        assert len(cache) == 1


def test_it_is_not_saved_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="grows call by call"):
        CallCacheDataset(filepath=str(tmp_path / "calls.jsonl")).save([])  # type: ignore[arg-type]


def test_only_a_local_file_will_do() -> None:
    with pytest.raises(InputError, match=r"must be a local file, not memory://calls\.jsonl"):
        CallCacheDataset(filepath="memory://calls.jsonl")


def test_text_is_not_previewed(tmp_path: Path) -> None:
    assert not hasattr(CallCacheDataset(filepath=str(tmp_path / "calls.jsonl")), "preview")


@pytest.mark.parametrize("name", ["folder/calls.jsonl", "file/calls.jsonl"])
def test_a_place_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder" / "calls.jsonl").mkdir(parents=True)
    (tmp_path / "file").touch()
    cache = CallCacheDataset(filepath=str(tmp_path / name)).load()
    with pytest.raises(InputError, match=r"calls\.jsonl cannot be opened"), cache.opened():
        pass
