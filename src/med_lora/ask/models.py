"""The models behind the arms, after the same comparison of origins as an evaluation makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.models.session import ModelSession
from med_lora.pipelines.evaluation.origin import check_domain_adapter, check_tuned
from med_lora.pipelines.stages import as_base_model, stages_of
from med_lora.project import Project


@dataclass(frozen=True)
class AskedModel:
    """A session, and what it is asked with.

    Attributes:
        session: of the weights.
        adapter: None for the weights alone.
    """

    session: ModelSession
    adapter: PretrainedFolder | None


def open_models(project: Project, wanted: set[Literal["base", "tuned"]]) -> dict[str, AskedModel]:
    """The models ``wanted``; both share one session unless the tuned one has weights of its own. Nothing is read yet.

    Raises:
        InputError: if a model is missing, or what training saved is of another base model, split or prompt.
    """
    given, stages = project.parameters, stages_of(project.parameters)
    base_model = project.load("base_model")
    base = AskedModel(ModelSession(base_model, given.model, given.hardware), None)
    if "tuned" not in wanted:
        return {"base": base}
    trained = project.load_saved(stages.tuned)
    start = base_model if stages.base == "base_model" else as_base_model(project.load_saved("domain_model"))
    if stages.on_pairs:
        first = project.load_saved(stages.start) if stages.start else None
        check_tuned(trained, start, project.load_saved(stages.train), given.prompt, given.model, first)
    else:
        check_domain_adapter(trained, start, project.load_saved("passages"), given.model)
    if stages.method == "full":
        tuned = AskedModel(ModelSession(as_base_model(trained), given.model, given.hardware), None)
    elif start is base_model:
        tuned = AskedModel(base.session, trained)
    else:
        tuned = AskedModel(ModelSession(start, given.model, given.hardware), trained)
    return {"base": base, "tuned": tuned} if "base" in wanted else {"tuned": tuned}
