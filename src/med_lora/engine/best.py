"""The trained weights as they were at the least validation loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class BestWeights:
    """A copy, in the CPU's memory, of the weights that training moves; of a sharded model, this rank's part of them."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.weights: dict[str, Any] = {}

    def take(self) -> None:
        """Copy the weights as they are now."""
        self.weights = {name: _local(weight).detach().cpu().clone() for name, weight in self._trained()}

    def put_back(self) -> None:
        """Give the model the weights that were copied."""
        import torch

        with torch.no_grad():
            for name, weight in self._trained():
                _local(weight).copy_(self.weights[name])

    def save(self, folder: Path) -> None:
        """Into a checkpoint; ranks with equal weights write one file, each shard its own."""
        from safetensors.torch import save_file

        if _is_sharded(self.model) or _rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            save_file({name: weight.contiguous() for name, weight in self.weights.items()}, self._file(folder))

    def load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        self.weights = load_file(self._file(folder))

    def _file(self, folder: Path) -> Path:
        return folder / (
            f"best_weights_{_rank()}.safetensors" if _is_sharded(self.model) else "best_weights.safetensors"
        )

    def _trained(self) -> list[tuple[str, Any]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]


def _local(weight: Any) -> Any:
    return weight.to_local() if hasattr(weight, "to_local") else weight


def _is_sharded(model: Any) -> bool:
    return any(hasattr(weight, "to_local") for weight in model.parameters())


def _rank() -> int:
    import torch

    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
