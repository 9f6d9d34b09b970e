"""A base model that is loaded once, whatever the number of adapters and nodes that ask it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from med_lora.datasets.adapter import CONFIG, WEIGHTS
from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.attach import attach_saved, check_origin
from med_lora.models.loading import load_model, weights_dtype
from med_lora.parameters import HardwareParams, ModelParams


class ModelSession:
    """A base model that is asked with or without an adapter; its weights are read when it is first asked.

    An adapter stays attached and is switched off for the base model, whose own weights no adapter changes. One arm is
    asked at a time; other threads wait for its end.

    Attributes:
        base_model: handle of the base model.
        model: its quantisation.
        hardware: device, precision and attention kernel.
    """

    def __init__(self, base_model: BaseModel, model: ModelParams, hardware: HardwareParams) -> None:
        """Name the model; nothing is loaded yet."""
        self.base_model = base_model
        self.model = model
        self.hardware = hardware
        self._tokenizer: Any = None
        self._loaded: Any = None
        self._attached: Any = None  # peft's wrapper of the same model
        self._adapter: PretrainedFolder | None = None
        self._lock = threading.Lock()
        self._thread: int | None = None

    @property
    def dtype(self) -> str:
        """Type of the weights that are not quantised, which answers are computed in, such as ``float32``."""
        return str(weights_dtype(self.hardware, "inference")).removeprefix("torch.")

    def tokenizer(self) -> Any:
        """The base model's tokenizer, read once."""
        if self._tokenizer is None:
            self._tokenizer = self.base_model.tokenizer()
        return self._tokenizer

    @contextmanager
    def arm(self, adapter: PretrainedFolder | None) -> Iterator[Any]:
        """The transformers model on its device, in evaluation mode; it is an arm's only within the block.

        Args:
            adapter: what it answers with, in place of any other; None for the base model itself, whose logits are bit
                for bit those of a model that never had an adapter.

        Raises:
            InputError: if the adapter is missing or of another base model, or the model cannot be loaded here.
            RuntimeError: within the block of another arm.
        """
        if self._thread == threading.get_ident():
            raise RuntimeError("A session gives one arm at a time; leave the block of the other first.")
        with self._lock:
            self._thread = threading.get_ident()
            try:
                if adapter is not None:
                    _check_files(adapter)
                    check_origin(adapter.path, self.base_model)  # before the weights are read
                self._load()
                if adapter is not None:
                    self._attach(adapter)
                off = self._attached is not None and adapter is None
                with self._attached.disable_adapter() if off else nullcontext():
                    yield self._loaded
            finally:
                self._thread = None

    def _load(self) -> None:
        if self._loaded is None:
            self._loaded = load_model(self.base_model, self.model, self.hardware, purpose="inference")

    def _attach(self, adapter: PretrainedFolder) -> None:
        if adapter == self._adapter:
            return
        model = self._detach()
        self._loaded = self._attached = self._adapter = None  # should peft fail half-way, the next arm reads the files
        self._attached = attach_saved(model, adapter.path, self.base_model)
        self._loaded = self._attached.get_base_model()
        self._adapter = adapter

    def _detach(self) -> Any:
        if self._attached is None:
            return self._loaded
        if any(config.modules_to_save for config in self._attached.peft_config.values()):
            self._loaded = self._attached = None
            self._load()  # peft would leave the adapter's copies of these modules in the base model
            return self._loaded
        return self._attached.unload()


def open_session(
    base_model: BaseModel,
    model: ModelParams,
    hardware: HardwareParams,
    trained: PretrainedFolder | BaseModel | None = None,
) -> ModelSession:
    """The base model as the nodes of its arms share it; nothing is read yet.

    Args:
        base_model: handle of the model.
        model: how it is quantised.
        hardware: where it runs.
        trained: what training left. It is not read: a node that takes it runs after training, which needs the memory
            that a base model asked before would hold.
    """
    return ModelSession(base_model, model, hardware)


def _check_files(adapter: PretrainedFolder) -> None:
    """Without them peft would look on the hub for a repository of the folder's name."""
    for name in (CONFIG, WEIGHTS):
        if not (adapter.path / name).is_file():
            raise InputError(f"{adapter.path} has no {name}, so there is no adapter to attach; train it again.")
