"""LoRA and other peft adapters."""

from __future__ import annotations

import json
from pathlib import Path

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.manifest import MARKER
from med_lora.datasets.pretrained import Pretrained, PretrainedDataset, PretrainedFolder

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


class AdapterDataset(PretrainedDataset):
    """A peft adapter that ``PeftModel.from_pretrained(base, handle.path)`` loads, with or without this project.

    Both saving and loading demand its configuration and weights that are finite and not empty.
    """

    def _write(self, folder: Path, data: Pretrained) -> None:
        super()._write(folder, data)
        self._check(folder)
        _settle(folder)

    def _read(self, folder: Path) -> PretrainedFolder:
        self._check(folder)
        return super()._read(folder)

    def _check(self, folder: Path) -> None:
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise DatasetInputError(
                    f"{self._filepath} has no {name}, so it is no adapter; save a PeftModel with the adapter 'default'."
                )
        fault = _find_fault(folder / WEIGHTS)
        if fault:
            raise DatasetInputError(f"{self._filepath}/{WEIGHTS} {fault}; train the adapter again.")


def _find_fault(weights: Path) -> str:
    """What is wrong with a weight file, or an empty string."""
    import torch
    from safetensors import SafetensorError, safe_open

    numbers = 0
    try:
        with safe_open(weights, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                tensor = tensors.get_tensor(name)
                numbers += tensor.numel()
                if not bool(torch.isfinite(tensor).all()):
                    return f"holds values that are not finite in {name}"
    except SafetensorError as error:
        return f"is not a safetensors file ({error})"
    return "" if numbers else "holds no weights"


def _settle(folder: Path) -> None:
    """Take out of the configuration what differs between equal runs and means nothing.

    peft writes sets, whose order changes from process to process; and the path of the base model. A model that a run
    made (``domain_model``) goes by its folder's name, since the path holds the run's version; a folder of this project
    by its path from here; any other folder by its name too, since where it lies is of no account elsewhere.
    """
    from peft import PeftConfig

    names = {name for name, value in vars(PeftConfig.from_pretrained(str(folder))).items() if isinstance(value, set)}
    file = folder / CONFIG
    config = json.loads(file.read_text())
    for name in names & config.keys():
        config[name] = sorted(config[name])
    base = Path(config.get("base_model_name_or_path") or "")
    if (base / MARKER).is_file():
        config["base_model_name_or_path"] = base.name
    elif base.is_absolute():
        is_below = base.is_relative_to(Path.cwd())
        config["base_model_name_or_path"] = base.relative_to(Path.cwd()).as_posix() if is_below else base.name
    file.write_text(json.dumps(config, indent=2, sort_keys=True))
