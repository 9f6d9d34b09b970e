"""The base model: a folder or a pinned commit, and one sentence for everything that can be wrong with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from kedro.io import DataCatalog
from kedro.io.core import DatasetError

from med_lora.datasets import BaseModel, BaseModelDataset
from med_lora.errors import InputError

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


@pytest.fixture
def folder(base_folder: Path, tmp_path: Path) -> Path:
    """A copy of the base model that a test may damage."""
    return Path(shutil.copytree(base_folder, tmp_path / "model"))


def test_a_folder_gives_a_model_and_a_tokenizer(folder: Path) -> None:
    catalog = DataCatalog.from_config({"base": {"type": "med_lora.datasets.BaseModelDataset", "id": str(folder)}})
    handle = catalog.load("base")
    assert handle.source == str(folder)
    assert handle.revision is None
    model = handle.model(torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert handle.model("float32").dtype == torch.float32
    tokenizer = handle.tokenizer()
    assert tokenizer("what helps")["input_ids"] == [3, 4]
    assert model(input_ids=torch.tensor([[3, 4]])).logits.shape == (1, 2, 10)


def test_a_missing_padding_token_becomes_eos_and_a_given_one_stays(folder: Path) -> None:
    handle = BaseModelDataset(id=str(folder)).load()
    tokenizer = handle.tokenizer()
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 1
    tokenizer.pad_token = "<unk>"
    tokenizer.save_pretrained(folder)
    assert handle.tokenizer().pad_token_id == 2


def test_a_tokenizer_with_neither_padding_nor_eos_is_refused(folder: Path) -> None:
    handle = BaseModelDataset(id=str(folder)).load()
    tokenizer = handle.tokenizer()
    tokenizer.pad_token = None
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match="has neither a padding nor an EOS token"):
        handle.tokenizer()


def test_a_relative_folder_keeps_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    handle = BaseModelDataset(id="model").load()
    assert handle.source == "model"
    assert handle.sha256 == BaseModelDataset(id=str(folder)).load().sha256
    assert handle.model("auto").config._name_or_path == "model"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
def test_the_hash_covers_what_decides_the_output(folder: Path, name: str) -> None:
    dataset = BaseModelDataset(id=str(folder))
    before = dataset.load().sha256
    assert before is not None
    assert len(before) == 64
    (folder / "README.md").write_text("not part of it")
    assert dataset.load().sha256 == before
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content + b" ")
    changed = dataset.load().sha256
    assert changed != before
    (folder / name).write_bytes(content)
    assert dataset.load().sha256 == before


@pytest.mark.parametrize(
    "missing", ["data/01_raw/embedded/model", "./model", "../model", "/models/llama", "~/llama", "a/b/c", "a\\b"]
)
@pytest.mark.parametrize("revision", [None, COMMIT])
def test_what_looks_like_a_path_is_never_a_hub_id(missing: str, revision: str | None) -> None:
    dataset = BaseModelDataset(id=missing, revision=revision)
    with pytest.raises(InputError, match=r"is not a folder with a config\.json") as caught:
        dataset.load()
    assert str(Path(missing).expanduser()) in str(caught.value)
    assert not dataset.exists()


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "607a30d"])
def test_a_hub_id_needs_a_commit(revision: str | None) -> None:
    with pytest.raises(InputError, match=r"'openai-community/gpt2' .* needs a pinned commit"):
        BaseModelDataset(id="openai-community/gpt2", revision=revision).load()


def test_a_pinned_hub_id_gives_a_handle_without_asking_the_hub() -> None:
    dataset = BaseModelDataset(id="openai-community/gpt2", revision=COMMIT, metadata={"kedro-viz": {"layer": "raw"}})
    assert dataset.load() == BaseModel("openai-community/gpt2", COMMIT, None)
    assert dataset.exists()
    assert dataset.metadata == {"kedro-viz": {"layer": "raw"}}


def test_incomplete_folders_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="is a folder, which has no revision"):
        BaseModelDataset(id=str(folder), revision=COMMIT).load()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"holds no \.safetensors file"):
        BaseModelDataset(id=str(folder)).load()
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"is not a folder with a config\.json"):
        BaseModelDataset(id=str(folder)).load()


def test_damaged_weights_and_foreign_code_are_one_sentence(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights")
    handle = BaseModelDataset(id=str(folder)).load()
    with pytest.raises(InputError, match=r"The model of .* cannot be loaded .*; check its files") as caught:
        handle.model("float32")
    assert "\n" not in str(caught.value)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("raise SystemExit('foreign code was run')")
    with pytest.raises(InputError, match="needs code of its own, which is never run"):
        handle.model("float32")


def test_the_base_model_is_read_only(folder: Path) -> None:
    with pytest.raises(DatasetError, match="read-only"):
        BaseModelDataset(id=str(folder)).save("anything")  # type: ignore[arg-type]


class Hub(BaseHTTPRequestHandler):
    """Answers as the Hugging Face hub does for models that cannot be had."""

    ANSWERS: ClassVar = {
        "gated": (403, "GatedRepo"),
        "absent": (401, "RepoNotFound"),
        "moved": (404, "RevisionNotFound"),
        "refused": (403, ""),
    }

    def do_GET(self) -> None:
        name = next((part for part in self.path.split("/") if part in self.ANSWERS), "")
        status, code = self.ANSWERS.get(name, (404, "EntryNotFound"))
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - named by the base class

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


SCRIPT = """
import json, sys
from med_lora.datasets import BaseModelDataset
from med_lora.errors import InputError

messages = {}
for name in sys.argv[1:]:
    handle = BaseModelDataset(id=f"someone/{name}", revision="0" * 40).load()
    for load in (handle.tokenizer, lambda: handle.model("float32")):
        try:
            load()
        except InputError as error:
            messages.setdefault(name, []).append(str(error))
sys.stdout.write(json.dumps(messages))
"""


def messages_of(names: list[str], environment: dict[str, str], tmp_path: Path) -> dict[str, list[str]]:
    """What loading a tokenizer and a model of each hub model says, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *names],
        env={**environment, "HF_HOME": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=True,
    )
    messages: dict[str, list[str]] = json.loads(result.stdout)
    return messages


def test_each_failure_of_the_hub_is_told_apart(hub: str, environment: dict[str, str], tmp_path: Path) -> None:
    environment = {**environment, "HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0"}
    messages = messages_of(["gated", "absent", "moved", "refused", "hollow"], environment, tmp_path)
    expected = {
        "gated": "Model 'someone/gated' is gated; accept its terms on its page and run `hf auth login`, or",
        "absent": "Model 'someone/absent' is not on the hub, or is private; check the id, run `hf auth login`, or",
        "moved": f"Model 'someone/moved' has no commit {'0' * 40}; copy it from",
        "refused": "Model 'someone/refused' was refused by the hub; check `hf auth whoami`, try again later",
        "hollow": "of 'someone/hollow' ",
    }
    for name, start in expected.items():
        assert len(messages[name]) == 2, name
        for message in messages[name]:
            assert start in message
            assert "\n" not in message


def test_offline_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    messages = messages_of(["model"], {**environment, "HF_HUB_OFFLINE": "1"}, tmp_path)
    assert len(messages["model"]) == 2
    for message in messages["model"]:
        assert message == (
            "Model 'someone/model' is not in the local cache and the hub cannot be reached; go online once, or name a "
            "local folder, with revision null."
        )
