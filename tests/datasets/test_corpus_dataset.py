"""A corpus from local files, from patterns, and from the hub with local files behind it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from kedro.io.core import DatasetError

from med_lora.datasets import CorpusDataset
from med_lora.datasets.hub import download_dataset
from med_lora.errors import InputError
from med_lora.parameters import HubParams

PAIR = {"question": "What causes gout?", "answer": "Crystals of urate."}
NOBODY = "http://127.0.0.1:9"
REVISION = "0123456789abcdef0123456789abcdef01234567"


def corpus(root: Path | str, files: str | list[str], layout: str = "pairs", **options: Any) -> CorpusDataset:
    given = {"layout": layout, "files": files, **options}
    return CorpusDataset(name="mine", corpora={"mine": given}, root=str(root))


def table(dataset: CorpusDataset) -> pd.DataFrame:
    return pd.concat(dataset.load(), ignore_index=True)


def write_lines(path: Path, *pairs: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(pair) + "\n" for pair in pairs)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())


@pytest.mark.parametrize(
    "name", ["a.json", "a.jsonl", "a.ndjson", "a.jsonl.gz", "a.csv", "a.tsv", "a.parquet", "a.xlsx"]
)
def test_the_ending_chooses_the_reader(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    frame = pd.DataFrame([PAIR, {"question": "00012", "answer": "NA"}])
    if name == "a.json":
        file.write_text(frame.to_json(orient="records"))
    elif ".csv" in name or ".tsv" in name:
        frame.to_csv(file, index=False, sep="," if ".csv" in name else "\t")
    elif name.endswith(".parquet"):
        frame.to_parquet(file)
    elif name.endswith(".xlsx"):
        frame.to_excel(file, index=False)
    else:
        write_lines(file, *frame.to_dict("records"))
    read = table(corpus(tmp_path, name))
    assert read["question"].tolist() == ["What causes gout?", "00012"]
    assert read["answer"].tolist() == ["Crystals of urate.", "NA"]
    assert read["row"].tolist() == ["00000000", "00000001"]
    assert set(read["fault"]) == {""}


def test_columns_map_names_of_the_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", {"input": "What?", "answer_icliniq": "That.", "answer_chatgpt": "This."})
    read = table(corpus(tmp_path, "a.jsonl", columns={"question": "input", "answer": "answer_icliniq"}))
    assert read.loc[0, ["question", "answer"]].tolist() == ["What?", "That."]


def test_several_files_keep_their_rows_apart_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b/train", "a/train", "a/test"):
        write_lines(tmp_path / f"{name}.jsonl", PAIR)
    read = table(corpus(tmp_path, "*/*.jsonl"))
    assert read["row"].tolist() == ["a/test-00000000", "a/train-00000000", "b/train-00000000"]
    listed = table(corpus(tmp_path, ["b/train.jsonl", "a/test.jsonl"]))
    assert listed["row"].tolist() == ["train-00000000", "test-00000000"]


def test_any_file_system_is_read(tmp_path: Path) -> None:
    with fsspec.open(f"memory://{tmp_path.name}/a.jsonl", "wb") as stream:
        stream.write(json.dumps(PAIR).encode())
    assert len(table(corpus(f"memory://{tmp_path.name}", "a.jsonl"))) == 1
    assert len(table(corpus("nowhere", f"memory://{tmp_path.name}/*.jsonl"))) == 1


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ("gone.jsonl", "gone.jsonl does not exist; put the corpus there, or set"),
        ("*.csv", r"\*.csv does not exist"),
        ("a.txt", "a.txt has an ending that tells no format"),
        ("empty.jsonl", "empty.jsonl holds no records"),
    ],
)
def test_files_that_cannot_be_read_are_one_sentence(tmp_path: Path, files: str, sentence: str) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=sentence):
        table(corpus(tmp_path, files))


def test_a_folder_in_the_place_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(InputError, match=r"a\.jsonl cannot be read"):
        table(corpus(tmp_path, "a.jsonl"))


def test_an_unknown_corpus_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'mime'.*did you mean 'mine'"):
        CorpusDataset(name="mime", corpora={"mine": {}}, root=str(tmp_path))


def test_nothing_is_read_before_the_chunks_are_iterated_and_nothing_written(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", PAIR)
    dataset = corpus(tmp_path, "a.jsonl")
    chunks = dataset.load()
    write_lines(tmp_path / "a.jsonl", PAIR, PAIR)
    assert sum(map(len, chunks)) == 2
    assert sum(map(len, chunks)) == 2
    with pytest.raises(DatasetError, match="only reads"):
        dataset.save(chunks)


FILES_ON_THE_HUB = {"data/train.jsonl": (json.dumps(PAIR) + "\n").encode(), "README.md": b"# A card\n"}


class Hub(BaseHTTPRequestHandler):
    """The two answers of the hub that a download needs: the tree of a data set, and its files."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == f"/api/datasets/owner/pairs/tree/{REVISION}":
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": f"{number:040d}"}
                for number, (name, content) in enumerate(FILES_ON_THE_HUB.items())
            ]
            self.answer(json.dumps(tree).encode(), {"Content-Type": "application/json"})
        elif (name := path.removeprefix(f"/datasets/owner/pairs/resolve/{REVISION}/")) in FILES_ON_THE_HUB:
            self.answer(FILES_ON_THE_HUB[name], {"X-Repo-Commit": REVISION, "ETag": f'"{abs(hash(name))}"'})
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def answer(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep the tests quiet."""


@pytest.fixture
def hub() -> Iterator[str]:
    """Address of a hub with one data set, owner/pairs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def read_in_a_process(endpoint: str, root: Path, name: str = "owner/pairs", **variables: str) -> tuple[list[str], str]:
    """Answers and log of a corpus with a hub, read by a process of its own: the hub's address is read once."""
    given = {"layout": "pairs", "files": "data/train.jsonl"}
    corpora = {"mine": {**given, "hub": {"id": name, "revision": REVISION}}}
    code = (
        "import json, logging, sys, pandas as pd; logging.basicConfig(level='WARNING')\n"
        "from med_lora.datasets import CorpusDataset\n"
        f"dataset = CorpusDataset(name='mine', corpora=json.loads(sys.argv[1]), root={str(root)!r})\n"
        "print(json.dumps(pd.concat(dataset.load())['answer'].tolist()))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(root / "hub-cache"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= variables
    result = subprocess.run(
        [sys.executable, "-c", code, json.dumps(corpora)], env=environment, capture_output=True, text=True, check=False
    )
    return (json.loads(result.stdout) if result.returncode == 0 else []), result.stderr


def test_a_hub_data_set_is_read_at_its_revision_and_then_from_the_cache(hub: str, tmp_path: Path) -> None:
    assert read_in_a_process(hub, tmp_path)[0] == [PAIR["answer"]]
    answers, log = read_in_a_process(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert answers == [PAIR["answer"]]
    assert "cannot be reached" not in log


def test_an_unreachable_hub_leaves_the_local_files(tmp_path: Path) -> None:
    write_lines(tmp_path / "data/train.jsonl", {"question": "Local?", "answer": "Local."})
    answers, log = read_in_a_process(NOBODY, tmp_path, HF_HUB_OFFLINE="1")
    assert answers == ["Local."]
    assert "cannot be reached for owner/pairs" in log


def test_a_refused_connection_counts_as_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from httpx2 import ConnectError

    def refuse(*_: Any, **__: Any) -> str:
        raise ConnectError("refused")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    assert download_dataset(HubParams(id="owner/pairs", revision=REVISION), ["a.json"]) is None


def test_neither_hub_nor_local_files_is_one_sentence(tmp_path: Path) -> None:
    _, log = read_in_a_process(NOBODY, tmp_path, HF_HUB_OFFLINE="1")
    assert "data/train.jsonl does not exist; reach the hub once for owner/pairs, or put its files there." in log


def test_a_data_set_that_the_hub_lacks_is_one_sentence(hub: str, tmp_path: Path) -> None:
    _, log = read_in_a_process(hub, tmp_path, name="owner/other")
    assert f"The hub has no data set owner/other at revision {REVISION}" in log.splitlines()[-1]
