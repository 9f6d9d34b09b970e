"""The card of a merged model."""

from __future__ import annotations

from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.parameters import MergingParams
from med_lora.pipelines.stages import SavedModel
from med_lora.pipelines.training.card import name_base, relate_to_base, write_head

TAGS = ["medical", "merged"]


def write_card(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    merging: MergingParams,
    check: dict[str, Any],
    licence: str | None,
    made_of: str,
) -> str:
    """Markdown with the hub's metadata head: what was merged, how far it agrees, under which licence.

    Args:
        base_model: what the adapter stood on.
        adapter: the artifact; the SHA-256 of its manifest identifies it.
        merging: type of the weights.
        check: of :class:`med_lora.models.merging.Merged`.
        licence: what the base model's card gives; None if it gives none.
        made_of: how the adapter came about, as the end of a sentence.
    """
    pin = f"commit `{base_model.revision}`" if base_model.revision else f"SHA-256 `{base_model.sha256}`"
    terms = f"`{licence}`" if licence else "not stated on its card"
    before, after = check["before_cast"], check["after_cast"]
    base = name_base(base_model)
    origin = "as merged in continued pre-training" if isinstance(base_model, SavedModel) else "as they were given"
    if "dequantised" in check:
        origin = "dequantised from the bits the adapter was trained on"
    return f"""{_write_head(base_model, licence)}
# Merged model

`{base}` with a LoRA adapter merged into its weights, {made_of} by med_lora. It is a research artefact and
gives no medical advice.

| | |
| --- | --- |
| base model | `{base}`, {pin} |
| adapter | manifest SHA-256 `{adapter.sha256}` |
| base weights | {origin} |
| stored as | {merging.dtype} |
| merged against unmerged | log-probabilities differ by at most {before["largest_difference"]:.1e} nats |
| the same, once stored as {merging.dtype} | by at most {after["largest_difference"]:.1e} nats |
| most likely token unchanged by storing | {after["equal_greedy_token"]:.1%} of {check["tokens"]} |

The licence is that of the base model ({terms}); the text it was tuned on may restrict it further.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(folder)
```
"""


def _write_head(base_model: BaseModel, licence: str | None) -> str:
    head: dict[str, Any] = {**relate_to_base(base_model.source, base_model.sha256 is None, is_full=True)}
    head |= {"license": licence} if licence else {}
    return write_head(head | {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": TAGS})
