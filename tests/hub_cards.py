"""What the hub asks of a model card's head, as code: its specification and lists of 2026, read without a network.

Sources: modelcard.md and docs/hub/repositories-licenses.md of https://github.com/huggingface/hub-docs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

_LICENCES = """apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
    bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl
    lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib
    pddl lgpl-lr deepfloyd-if-license llama2 gemma unknown other"""
LICENCES = frozenset(_LICENCES.split())
RELATIONS = frozenset({"adapter", "finetune", "merge", "quantized"})
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
LINK = re.compile(r"LICENSE(\.md)?|https://\S+")


def head_of(text: str) -> dict[str, Any]:
    """The metadata of a card as the hub's own library reads them."""
    card: Any = ModelCard(text)
    head: dict[str, Any] = card.data.to_dict()
    return head


def find_faults(text: str) -> list[str]:
    """What the hub would refuse or misread in a card; nothing for a sound one."""
    head = head_of(text)
    return [*_licence(head), *_base(head), *_lists(head), *_index(head), *_round_trip(head)]


def _licence(head: dict[str, Any]) -> Iterator[str]:
    if head.get("license") not in LICENCES:
        yield f"license {head.get('license')!r} is no identifier of the hub"
    if head.get("license") == "other":
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", head.get("license_name", "")):
            yield "license other needs a license_name of small letters, digits, dots and dashes"
        if not LINK.fullmatch(head.get("license_link", "")):
            yield "license other needs a license_link: LICENSE, LICENSE.md or a URL"


def _base(head: dict[str, Any]) -> Iterator[str]:
    base = head.get("base_model")
    if base is not None and not (isinstance(base, str) and REPOSITORY.fullmatch(base)):
        yield f"base_model {base!r} is no id of the hub"
    if ("base_model_relation" in head) != (base is not None):
        yield "base_model and base_model_relation belong together"
    elif base is not None and head["base_model_relation"] not in RELATIONS:
        yield f"base_model_relation {head['base_model_relation']!r} is unknown"


def _lists(head: dict[str, Any]) -> Iterator[str]:
    if head.get("pipeline_tag") != "text-generation":
        yield "pipeline_tag is not that of a language model"
    if head.get("library_name") not in ("peft", "transformers"):
        yield "library_name is unknown"
    for name, form in (("language", r"[a-z]{2,3}"), ("tags", r"[\w:.-]+"), ("metrics", r"\w+")):
        values = head.get(name, [])
        if not isinstance(values, list) or not all(re.fullmatch(form, value) for value in values):
            yield f"{name} {values!r} is no list of plain names"
    if not all(REPOSITORY.fullmatch(value) for value in head.get("datasets", [])):
        yield "datasets are no ids of the hub"


def _index(head: dict[str, Any]) -> Iterator[str]:
    for model in head.get("model-index", []):
        for result in model["results"]:
            if not {"type", "name"} <= result["dataset"].keys() or "type" not in result["task"]:
                yield "a result lacks its task's type or its data set's type and name"
            for metric in result["metrics"]:
                if not (isinstance(metric["value"], float) and math.isfinite(metric["value"])):
                    yield f"the value of {metric['name']} is no finite number"


def _round_trip(head: dict[str, Any]) -> Iterator[str]:
    index = head.get("model-index")
    if index is not None and eval_results_to_model_index(*model_index_to_eval_results(index)) != index:
        yield "the model index does not come back as it went in"
