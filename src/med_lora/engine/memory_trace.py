"""What a training step holds in memory, found by running it on tensors without data.

torch's fake tensors have shapes, types and lifetimes and no bytes. The model's own forward pass, the loss and autograd
run on them, so that whatever an architecture keeps for its backward pass is counted, by no formula of ours.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from med_lora.engine.losses import LabelLoss
from med_lora.prompts import IGNORED_LABEL

Held = Counter[str]  # bytes by kind: weights, adapter, gradients, activations, logits


@dataclass(frozen=True)
class Batch:
    """Shape of one forward pass: rows, tokens in each, and label tokens in each."""

    rows: int
    tokens: int
    labels: int


def trace(model: Any, batch: Batch, precision: str, *, training: bool, gradients_kept: bool, packed: bool) -> Held:
    """What is held at the moment when a forward pass (and, if ``training``, a backward pass) holds most.

    Args:
        model: on the meta device, adapter attached.
        batch: of the forward pass.
        precision: fp32, or bf16 or fp16 under autocast.
        training: False takes the loss without gradients, as validation does.
        gradients_kept: gradients of an earlier micro-batch of the same optimiser step are there.
        packed: rows share packed rows, so attention takes a mask.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    with FakeTensorMode():
        ledger = Ledger()
        with _watch(ledger, batch.rows * batch.labels), _logits_apart(model, ledger):
            _materialise(model, ledger)
            model.train(training)
            loss = LabelLoss(model)
            inputs = _inputs(batch, packed)
            if gradients_kept:
                for weight in model.parameters():
                    if weight.requires_grad:
                        weight.grad = torch.empty_like(weight)
                        ledger.enter(weight.grad, "gradients")
            ledger.start()
            with torch.set_grad_enabled(training), torch.autocast("cpu", half, enabled=half is not None):
                nll, _, _ = loss(model, inputs)
            if training:
                nll.backward()
            return Counter(ledger.most)


def _inputs(batch: Batch, packed: bool) -> dict[str, Any]:
    import torch

    shape = (batch.rows, batch.tokens)
    inputs = {"input_ids": torch.zeros(shape, dtype=torch.long), "labels": torch.full(shape, IGNORED_LABEL)}
    if packed:
        inputs["position_ids"] = torch.zeros(shape, dtype=torch.long)
    return inputs


class Ledger:
    """Bytes of live storages by the kind that was current when they came to be.

    Attributes:
        kind: what new storages count as.
        held: bytes now.
        most: bytes when they were most, since :meth:`start`.
    """

    def __init__(self) -> None:
        self.kind = "activations"
        self.held: Held = Counter()
        self.most: Held = Counter()
        self._kinds: dict[int, str] = {}

    def start(self) -> None:
        """Look for the most from now on."""
        self.kind, self.most = "activations", Counter()

    def enter(self, tensor: Any, kind: str | None = None) -> None:
        """Count a tensor's storage; one that is known already changes its kind if one is given."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._kinds:
            if kind is None:  # a view
                return
            self.held[self._kinds[key]] -= size
        else:
            weakref.finalize(storage, self._leave, key, size)
        self._kinds[key] = kind or self.kind
        self.held[self._kinds[key]] += size
        if self.held.total() > self.most.total():
            self.most = Counter(self.held)

    def _leave(self, key: int, size: int) -> None:
        self.held[self._kinds.pop(key)] -= size


def _watch(ledger: Ledger, labels: int) -> Any:
    """A context in which every tensor that an operation returns enters the ledger."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_iter

    aten = torch.ops.aten

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            # what depends on data is answered by what is known beforehand: the number of labels, and yes
            if operation is aten.nonzero.default:
                return torch.empty((labels, 1), dtype=torch.long)
            if operation is aten.index.Tensor and args[1][0] is not None and args[1][0].dtype == torch.bool:
                return args[0].new_empty((labels,))
            if operation is aten._local_scalar_dense.default:
                return 1
            result = operation(*args, **(kwargs or {}))
            for tensor in tree_iter(result):
                if isinstance(tensor, torch.Tensor):
                    ledger.enter(tensor)
            return result

    return Watch()  # type: ignore[no-untyped-call]


@contextmanager
def _logits_apart(model: Any, ledger: Ledger) -> Iterator[None]:
    """While the output layer and the loss work, forwards and backwards, what comes to be counts as logits."""

    def begin(_: Any, args: tuple[Any, ...]) -> None:
        ledger.kind = "logits"
        if args[0].requires_grad:
            args[0].register_hook(end)

    def end(_: Any) -> None:
        ledger.kind = "activations"

    hook = model.get_output_embeddings().register_forward_pre_hook(begin)
    try:
        yield
    finally:
        hook.remove()


def _materialise(model: Any, ledger: Ledger) -> None:
    """Put fake tensors in the place of the meta tensors; tied weights stay tied."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, meta in tensors.items():
                if meta is None:
                    continue
                if id(meta) not in made:
                    made[id(meta)] = _make_fake(meta, ledger)
                tensors[name] = made[id(meta)]


def _make_fake(meta: Any, ledger: Ledger) -> Any:
    import torch

    fake: Any = torch.empty(meta.shape, dtype=meta.dtype, device="cpu")
    if isinstance(meta, torch.nn.Parameter):
        fake = torch.nn.Parameter(fake, requires_grad=meta.requires_grad)
        if meta.requires_grad:
            fake.register_post_accumulate_grad_hook(lambda weight: ledger.enter(weight.grad, "gradients"))
    ledger.enter(fake, "adapter" if fake.requires_grad else "weights")
    return fake
