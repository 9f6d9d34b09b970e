"""The memory a training run will need, known before any weights are read, and what to say when it was not there."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_lora.engine.batches import accumulation, micro_batch_size
from med_lora.engine.memory_model import build_on_meta, largest_layer
from med_lora.engine.memory_trace import Batch, Held, trace
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, ModelParams, TrainingParams

logger = logging.getLogger(__name__)

GIB = 2**30
# Python with torch, transformers, trl, peft and bitsandbytes, measured; a CUDA context with the workspace of cuBLAS.
RUNTIME = {"cpu": 0.55 * GIB, "cuda": 0.6 * GIB}
ADAM_BYTES = 8  # two fp32 moments of each trained weight
_ASKED = re.compile(r"tried to allocate ([\d.]+) ?(bytes|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": GIB}
MEMINFO = Path("/proc/meminfo")  # Linux alone has it
_EXHAUSTED = ("DefaultCPUAllocator", "out of memory", "can't allocate memory", "Cannot allocate memory", "bad_alloc")


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes that one training process holds at its peak, and the settings they follow from.

    Attributes:
        weights: frozen weights, quantised or not.
        adapter: trained weights: the adapter's, or all of them with full fine-tuning.
        gradients: those held at the peak, and DDP's copy of them.
        optimiser: AdamW's moments.
        best: the copy of the trained weights that ``keep: best`` holds in main memory; nothing on a GPU.
        activations: what the layers keep for the backward pass, and temporary tensors; under FSDP also the gathered
            weights of two layers.
        logits: the output layer's result, and what the loss makes of it.
        runtime: Python and its libraries, or the CUDA context.
        peak: what holds most, ``training`` or ``validation``.
        batch: rows, tokens and labels of its forward pass.
        training: the settings.
        model: the settings.
        hardware: the settings.
    """

    weights: int
    adapter: int
    gradients: int
    optimiser: int
    best: int
    activations: int
    logits: int
    runtime: int
    peak: str
    batch: Batch
    training: TrainingParams
    model: ModelParams
    hardware: HardwareParams

    @property
    def total(self) -> int:
        parts = (self.weights, self.adapter, self.gradients, self.optimiser, self.best, self.activations, self.logits)
        return sum(parts) + self.runtime

    @property
    def sentence(self) -> str:
        """One line in GiB."""
        names = ("weights", "adapter", "gradients", "optimiser", "best", "activations", "logits", "runtime")
        parts = ", ".join(f"{name} {getattr(self, name) / GIB:.2f}" for name in names)
        return (
            f"Memory forecast of one process on {self.hardware.device}: {self.total / GIB:.2f} GiB ({parts}) in "
            f"{self.peak}, with {self.batch.rows} rows of {self.batch.tokens} tokens at a time."
        )

    @property
    def remedies(self) -> str:
        """What can still be lowered, first what changes no result."""
        ways = []
        if self.peak == "validation" and self.batch.rows > 1:
            ways.append(f"hardware.inference_batch_size (now {self.batch.rows})")
        if self.peak == "training" and self.batch.rows > 1:
            ways.append(f"hardware.micro_batch_size (now {self.batch.rows})")
        if not self.hardware.gradient_checkpointing:
            ways.append("memory by hardware.gradient_checkpointing: true")
        ways.append(f"training.max_length (now {self.training.max_length})")
        if self.training.method == "full":
            ways.append("the trained weights by training.method: lora")
        elif self.model.quantisation in ("none", "int8"):
            ways.append("the weights by model.quantisation: nf4")
        return ", then ".join(ways)


def forecast(
    config: Any,
    model: ModelParams,
    training: TrainingParams,
    hardware: HardwareParams,
    longest: int,
    ranks: int = 1,
    *,
    labels: int | None = None,
    validation_rows: int = 0,
) -> MemoryForecast:
    """The peak of one process, found by one micro-batch on tensors without data; no weights are read.

    Exact for what torch allocates as long as all rows are as long as the longest. What an allocator keeps beyond that
    is not in it: glibc's may hold a third more on a CPU. Takes seconds.

    Args:
        config: transformers' configuration of the base model.
        model: its quantisation.
        training: method, adapter and recipe.
        hardware: precision, micro-batch, checkpointing.
        longest: tokens of the longest row.
        ranks: processes in all.
        labels: most label tokens of any row, taken for every row, so that logits are an upper bound; None where all
            tokens are labels.
        validation_rows: rows of the validation set.
    """
    recipe = training.optimisation
    rows = micro_batch_size(recipe, hardware, ranks)
    batch = Batch(rows, longest, min(longest if labels is None else labels, longest - 1))
    kept = accumulation(recipe, hardware, ranks) > 1
    packed = hardware.packing and hardware.attention != "flash_attention_2"  # whose kernel takes no mask
    meta = build_on_meta(config, model, training, hardware)
    trained = sum(weight.numel() for weight in meta.parameters() if weight.requires_grad)
    layer = largest_layer(meta)
    held = trace(meta, batch, hardware.precision, training=True, gradients_kept=kept, packed=packed)
    peak = "training"
    if validation_rows:
        seen = Batch(min(validation_rows, hardware.inference_batch_size), longest, batch.labels)
        meta = build_on_meta(config, model, training, hardware)
        validating = trace(meta, seen, hardware.precision, training=False, gradients_kept=False, packed=False)
        if validating.total() > held.total():
            held, batch, peak = validating, seen, "validation"
    parts = _divide(held, trained, layer, hardware, ranks)
    # two copies for a moment, when the next is taken: then the gradients, which are as large, are gone
    best = held["adapter"] if recipe.keep == "best" and hardware.device == "cpu" else 0
    runtime = int(RUNTIME[hardware.device])
    return MemoryForecast(
        **parts, best=best, runtime=runtime, peak=peak, batch=batch, training=training, model=model, hardware=hardware
    )


def _divide(held: Held, trained: int, layer: int, hardware: HardwareParams, ranks: int) -> dict[str, int]:
    """What one of ``ranks`` processes holds of it: a shard under FSDP, all under DDP and its buckets of gradients."""
    sharded = hardware.sharding == "fsdp" and ranks > 1
    shards = ranks if sharded else 1
    buckets = 0 if sharded or ranks == 1 else held["adapter"]
    return {
        "weights": held["weights"] // shards,
        "adapter": held["adapter"] // shards,
        "gradients": held["gradients"] // shards + buckets,
        "optimiser": ADAM_BYTES * trained // shards,
        "activations": held["activations"] + (2 * layer if sharded else 0),
        "logits": held["logits"],
    }


def release_gpu_memory() -> None:
    """Free what torch keeps on the GPU for tensors that are gone; nothing where this process has used no GPU.

    To other processes, and to the driver's count of what is free, it is taken.
    """
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()


def available_memory(hardware: HardwareParams) -> int | None:
    """Bytes that can still be allocated: on the GPU, or within the machine's, the cgroup's and the process's limits.

    None where no limit is known, which on a CPU is every system but Linux.
    """
    if hardware.device == "cuda":
        import torch

        release_gpu_memory()
        return int(torch.cuda.mem_get_info()[0])
    if not MEMINFO.is_file():
        return None
    import resource

    fields = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
    free = [int(fields["MemAvailable"].split()[0]) * 1024, *_cgroup_memory()]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        free.append(limit - pages * resource.getpagesize())
    return max(0, min(free))


def _cgroup_memory(root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What the container's limit leaves, in version 2 or 1 of cgroups; nothing where it has no limit.

    Usage counts files in the page cache, those not in use lately included, which the kernel gives up first.
    """
    versions = (
        (root, "memory.max", "memory.current", "inactive_file"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for folder, limit, usage, cached in versions:
        if not (folder / limit).is_file() or not (folder / usage).is_file():
            continue
        allowed = (folder / limit).read_text(encoding="ascii").strip()
        if allowed == "max":
            return []
        stat = folder / "memory.stat"
        lines = stat.read_text(encoding="ascii").splitlines() if stat.is_file() else []
        reclaimable = int(dict(line.split() for line in lines).get(cached, 0))
        return [int(allowed) - int((folder / usage).read_text(encoding="ascii")) + reclaimable]
    return []


def check_memory(forecast: MemoryForecast, available: int | None) -> None:
    """Say what the run will need; raise an InputError if that is more than there is.

    Args:
        forecast: of one process. On a CPU all processes of the machine share what is there, and Python and its
            libraries are taken to be in the memory of each already.
        available: bytes of :func:`available_memory`; with None nothing is compared.
    """
    logger.info("%s", forecast.sentence)
    if available is None:
        return
    here = forecast.hardware.processes if forecast.hardware.device == "cpu" else 1
    needed = here * (forecast.total - forecast.runtime)
    if needed > available:
        raise InputError(
            f"Training needs about {needed / GIB:.2f} GiB of memory on {forecast.hardware.device} and "
            f"{available / GIB:.2f} GiB are free: lower {forecast.remedies}."
        )


def explain_out_of_memory(
    error: BaseException, forecast: MemoryForecast, hardware: HardwareParams
) -> InputError | None:
    """One sentence for an error that says that memory ran out; None for any other."""
    import torch

    cause: BaseException | None = error
    while cause is not None:
        exhausted = isinstance(cause, torch.OutOfMemoryError | MemoryError) or (
            isinstance(cause, RuntimeError) and any(word in str(cause) for word in _EXHAUSTED)
        )
        if exhausted:
            found = _ASKED.search(str(cause))
            asked = int(float(found[1]) * _UNITS[found[2].lower()]) / GIB if found else None
            wanted = "" if asked is None else f" when {asked:.2f} GiB more were asked for"
            return InputError(
                f"Memory ran out on {hardware.device}{wanted}; the forecast was {forecast.total / GIB:.2f} GiB for a "
                f"process in {forecast.peak}: lower {forecast.remedies}."
            )
        cause = cause.__cause__ or cause.__context__
    return None


@contextmanager
def explained_memory(forecast: MemoryForecast, hardware: HardwareParams) -> Iterator[None]:
    """Turn running out of memory inside the block into the InputError of :func:`explain_out_of_memory`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        explained = explain_out_of_memory(error, forecast, hardware)
        if explained is None:
            raise
        raise explained from error
