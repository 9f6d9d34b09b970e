"""The encoder of a metric: a local folder, or a pinned commit of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.errors import DatasetInputError
from med_lora.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel


class MissingEncoderError(InputError):
    """The encoder's files or the package that reads them cannot be had; its metric says so, and the rest goes on."""


class Encoder(BaseModel):
    """A light handle; nothing is read before one of its methods is called, and its folder need not exist before.

    Each method raises ``MissingEncoderError`` if the files cannot be had or read, or the model needs code of its own.
    The attributes are those of :class:`BaseModel`, except that ``sha256`` is None for an absent folder, too.
    """

    @property
    def name(self) -> str:
        """What a signature calls it: the folder's name and hash, or the hub id and commit, 12 digits of either."""
        if self.revision is not None:
            return f"{self.source}@{self.revision[:12]}"
        return f"{Path(self.source).name}@{'absent' if self.sha256 is None else self.sha256[:12]}"

    def text_encoder(self) -> PreTrainedModel:
        """Load the encoder from safetensors, in fp32, without a head."""
        from transformers import AutoModel

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
        with self._explained("sentence encoder"):
            return SentenceTransformer(
                self.source,
                device=device,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
                **self._origin(),
            )

    @contextmanager
    def _explained(self, part: str) -> Iterator[None]:
        if self.revision is None and self.sha256 is None:
            raise MissingEncoderError(f"{self.source} is not a folder with a config.json.")
        try:
            with super()._explained(part):
                yield
        except InputError as error:
            raise MissingEncoderError(str(error)) from error


class EncoderDataset(BaseModelDataset):
    """A read-only dataset whose data is an ``Encoder`` handle.

    ``id`` and ``revision`` are those of ``BaseModelDataset``, except that a folder may be missing: then the metric
    that needs it says so, and the rest of the evaluation goes on. An ``id`` of None is one that nothing asks for.
    """

    def __init__(self, *, id: str | None, revision: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Name the encoder.

        Args:
            id: folder of the encoder, or its hub id; None where the metric is left out.
            revision: commit of the hub model; None for a folder.
            metadata: ignored here; read by kedro-viz and other plugins.
        """
        super().__init__(id=id or "", revision=revision, metadata=metadata)

    def load(self) -> Encoder:
        """Check the name and return the handle; a folder is hashed, the hub is not asked yet.

        Raises:
            DatasetInputError: if there is no name, a hub id lacks its commit, or a folder has one or holds no
                safetensors.
        """
        if not self._id:
            raise DatasetInputError("No encoder is named; set the id of evaluation.bert_score or evaluation.embedding.")
        found = super().load()
        return Encoder(source=found.source, revision=found.revision, sha256=found.sha256)

    def _local(self, folder: Path) -> BaseModel:
        if self._revision is None and not (folder / "config.json").is_file():
            return BaseModel(source=str(folder), revision=None, sha256=None)
        return super()._local(folder)
