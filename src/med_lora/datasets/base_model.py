"""The base model of an experiment: a local folder, or a pinned commit of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from kedro.io.core import AbstractDataset, DatasetError

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.manifest import FileEntry, Manifest, describe_files, manifest_bytes
from med_lora.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

TOKENIZER_FILES = ("*token*.json", "vocab*", "merges.txt", "*.model")
# What decides the model's output: configuration, tokenizer and weights.
HASHED_FILES = (
    "config.json",
    "generation_config.json",
    *TOKENIZER_FILES,
    "chat_template*",
    "*.safetensors",
    "*.safetensors.index.json",
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class BaseModel:
    """A light handle; nothing is read before one of its methods is called.

    Attributes:
        source: local folder or hub id, as the configuration names it.
        revision: commit of the hub model; None for a folder.
        sha256: SHA-256 over the manifest of configuration, tokenizer and weights of a folder; None for the hub, where
            the commit pins them.
    """

    source: str
    revision: str | None
    sha256: str | None

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer. One without a padding token pads with EOS; the padding side is left to the caller.

        Padding with EOS is harmless only where padding is masked by position, never by comparing with the pad id:
        that would mask the EOS that the model has to learn.

        Raises:
            InputError: if the files cannot be had or read, or there is neither a padding nor an EOS token.
        """
        from transformers import AutoTokenizer

        with self._explained("tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(self.source, trust_remote_code=False, **self._origin())
        if tokenizer.pad_token_id is None:
            if tokenizer.eos_token_id is None:
                raise InputError(
                    f"The tokenizer of {self.source} has neither a padding nor an EOS token; add them to its "
                    "tokenizer_config.json."
                )
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    def tokenizer_sha256(self) -> str:
        """What decides which tokens a text becomes: SHA-256 over a folder's tokenizer files, or over a hub tokenizer.

        That of the hub is taken from the tokenizer as loaded, since the cache need not hold all of its files; a chat
        template belongs to the prompt, and is not part of it.

        Raises:
            InputError: if the hub's tokenizer cannot be had.
        """
        if self.revision is None:
            return _hash_files(Path(self.source), TOKENIZER_FILES)
        return _hash_tokenizer(self.source, self.revision)

    def config(self) -> PretrainedConfig:
        """The model's configuration, without its weights.

        Raises:
            InputError: if the file cannot be had or read, or the model needs code of its own.
        """
        from transformers import AutoConfig

        with self._explained("configuration"):
            return AutoConfig.from_pretrained(self.source, trust_remote_code=False, **self._origin())  # type: ignore[no-any-return]

    def model(self, dtype: torch.dtype | str, **options: Any) -> PreTrainedModel:
        """Load the causal language model from safetensors, in ``dtype`` (a torch.dtype, its name, or ``"auto"``).

        Args:
            dtype: type of the weights in memory.
            options: further arguments of ``from_pretrained``, such as ``quantization_config`` or ``device_map``.

        Raises:
            InputError: if the files cannot be had or read, or the model needs code of its own.
        """
        from transformers import AutoModelForCausalLM

        with self._explained("model"):
            return AutoModelForCausalLM.from_pretrained(
                self.source, dtype=dtype, trust_remote_code=False, use_safetensors=True, **self._origin(), **options
            )

    def _origin(self) -> dict[str, Any]:
        """A folder is never looked up on the hub; a hub id always at its commit."""
        return {"local_files_only": True} if self.revision is None else {"revision": self.revision}

    @contextmanager
    def _explained(self, part: str) -> Iterator[None]:
        from safetensors import SafetensorError

        try:
            yield
        except (OSError, ValueError, SafetensorError) as error:
            raise InputError(_explain(error, part, self)) from error


class BaseModelDataset(AbstractDataset[Never, BaseModel]):
    """A read-only dataset whose data is a ``BaseModel`` handle.

    ``id`` is a folder, absolute or relative to the working folder of the run, or else an id of the Hugging Face hub.
    An id that looks like a path (starts with ``.``, ``/``, ``~`` or ``data/``, or holds a backslash or more than one
    ``/``) is never asked for on the hub. A hub id needs ``revision``, the full commit: branches and tags can move.
    """

    def __init__(self, *, id: str, revision: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Name the model.

        Args:
            id: folder of the model, or its hub id.
            revision: commit of the hub model; None for a folder.
            metadata: ignored here; read by kedro-viz and other plugins.
        """
        self._id = id
        self._revision = revision
        self.metadata = metadata

    def load(self) -> BaseModel:
        """Check the name and return the handle; a folder is hashed, the hub is not asked yet.

        Raises:
            DatasetInputError: if the folder is missing or no model with safetensors, or the commit is missing.
        """
        folder = Path(self._id).expanduser()
        if folder.is_dir() or _looks_like_path(self._id):
            return self._local(folder)
        if self._revision is None or not _COMMIT.fullmatch(self._revision):
            raise DatasetInputError(
                f"Model {self._id!r} is no folder here, and as a hub id it needs a pinned commit, not revision "
                f"{self._revision!r}; set `revision` to the 40 characters shown under Files > History on its page."
            )
        return BaseModel(source=self._id, revision=self._revision, sha256=None)

    def save(self, data: Never) -> None:
        """Refuse.

        Raises:
            DatasetError: always; the base model is an input.
        """
        raise DatasetError(f"Base model {self._id!r} is read-only; save a model through PretrainedDataset.")

    def _local(self, folder: Path) -> BaseModel:
        if not (folder / "config.json").is_file():
            raise DatasetInputError(
                f"{folder} is not a folder with a config.json (looked in {folder.resolve()}); set the model's id to a "
                "folder that save_pretrained wrote, or to a hub id."
            )
        if self._revision is not None:
            raise DatasetInputError(
                f"Model {self._id!r} is a folder, which has no revision {self._revision!r}; set `revision` to null."
            )
        if not any(folder.glob("*.safetensors")):
            raise DatasetInputError(f"{folder} holds no .safetensors file; convert its weights to safetensors.")
        return BaseModel(source=str(folder), revision=None, sha256=_hash_files(folder, HASHED_FILES))

    def _exists(self) -> bool:
        """Whether a load would succeed; a pinned hub model is taken to exist."""
        try:
            self.load()
        except DatasetInputError:
            return False
        return True

    def _describe(self) -> dict[str, Any]:
        return {"id": self._id, "revision": self._revision}


def _looks_like_path(id: str) -> bool:
    return id.startswith((".", "/", "~", "data/")) or "\\" in id or id.count("/") > 1


def _hash_files(folder: Path, patterns: Sequence[str]) -> str:
    files = {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}
    manifest: Manifest = {}
    for file in files:
        status = file.stat()
        manifest[file.name] = hash_model_file(file, status.st_size, status.st_mtime_ns)
    return hashlib.sha256(manifest_bytes(manifest)).hexdigest()


@lru_cache(maxsize=8)
def _hash_tokenizer(source: str, revision: str) -> str:
    tokenizer: Any = BaseModel(source, revision, None).tokenizer()
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {"vocab": tokenizer.get_vocab()}
    for setting in ("version", "truncation", "padding"):  # of the library, and of the last call
        content.pop(setting, None)
    content["special_tokens"] = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1024)
def hash_model_file(file: Path, size: int, modified_ns: int) -> FileEntry:
    """Hash a file once a process, as long as its size and time of change stay: every node loads the base model."""
    return describe_files(file.parent, [file.name])[file.name]


def _explain(error: BaseException, part: str, model: BaseModel) -> str:
    """One sentence on why a part of ``model`` could not be loaded, and what to do."""
    from huggingface_hub import errors

    offline = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)
    folder = "or name a local folder, with revision null"
    reasons: list[tuple[type[BaseException] | tuple[type[BaseException], ...], str]] = [
        (errors.GatedRepoError, f"is gated; accept its terms on its page and run `hf auth login`, {folder}"),
        (
            errors.RepositoryNotFoundError,
            f"is not on the hub, or is private; check the id, run `hf auth login`, {folder}",
        ),
        (errors.RevisionNotFoundError, f"has no commit {model.revision}; copy it from Files > History on its page"),
        (
            errors.HfHubHTTPError,
            f"was refused by the hub; check `hf auth whoami`, try again later, {folder}",
        ),
        (offline, f"is not in the local cache and the hub cannot be reached; go online once, {folder}"),
    ]
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for kind, reason in reasons:
        if model.revision is not None and any(isinstance(cause, kind) for cause in causes):
            return f"Model {model.source!r} {reason}."
    if "trust_remote_code" in str(error):
        return f"Model {model.source!r} needs code of its own, which is never run; choose one that transformers knows."
    first_line = str(error).strip().partition("\n")[0].rstrip(".")
    return f"The {part} of {model.source!r} cannot be loaded ({first_line}); check its files."
