"""Which stages an experiment trains in, and the datasets that one stage hands to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from kedro.pipeline import Pipeline, node

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import ProjectParams


class Stages(NamedTuple):
    """The plan of an experiment's training; the defaults are instruction tuning alone, by LoRA.

    Attributes:
        method: what instruction tuning trains, an adapter or all weights; with none there is no such stage, and the
            tuned model is what continued pre-training left.
        handover: how continued pre-training on the passages precedes it: instruction tuning goes on with the same
            adapter, or starts on the merged model; None for no such stage.
        canaries: whether secrets are inserted into the training pairs.
    """

    method: Literal["lora", "full", "none"] = "lora"
    handover: Literal["adapter", "merged"] | None = None
    canaries: bool = False

    @property
    def base(self) -> str:
        """Dataset with the ``BaseModel`` that instruction tuning starts from and its adapter belongs to."""
        return "domain_base" if self.handover == "merged" else "base_model"

    @property
    def train(self) -> str:
        """Dataset with the pairs that instruction tuning trains on."""
        return "canaried_train" if self.canaries else "train"

    @property
    def start(self) -> str | None:
        """Dataset with the adapter that instruction tuning goes on with."""
        return "domain_adapter" if self.handover == "adapter" and self.on_pairs else None

    @property
    def on_pairs(self) -> bool:
        """Whether anything is trained on question-answer pairs."""
        return self.method != "none"

    @property
    def tuned(self) -> str:
        """Dataset that the last stage saves."""
        return {"lora": "adapter", "full": "tuned_model", "none": "domain_adapter"}[self.method]

    @property
    def history(self) -> str:
        """Dataset with the losses of the stage that left the tuned model."""
        return "training_history" if self.on_pairs else "domain_history"


# For commands that have no experiment, such as `kedro registry list`.
DEFAULT_STAGES = Stages()


def stages_of(parameters: ProjectParams) -> Stages:
    """The stages of an experiment.

    Raises:
        InputError: if its settings contradict each other.
    """
    first = parameters.continued_pretraining
    handover = first.handover if first.enabled else None
    stages = Stages(parameters.training.method, handover, parameters.canaries.enabled)
    if not stages.on_pairs:
        _check_plain_text_alone(parameters)
    if first.enabled:
        _check_passages(parameters)
    if stages.start:
        _check_same_adapter(parameters)
    quantisation = parameters.model.quantisation
    if stages.handover == "merged" and quantisation == "gptq":
        raise InputError(
            "continued_pretraining.handover is merged and model.quantisation is gptq, but nothing can be merged into "
            "GPTQ weights; set the handover to adapter, or take the checkpoint that is not quantised."
        )
    if stages.method == "full" and quantisation != "none":
        raise InputError(
            f"training.method is full and model.quantisation is {quantisation}, but quantised weights cannot be "
            "trained; set one to lora or the other to none."
        )
    return stages


def _check_plain_text_alone(parameters: ProjectParams) -> None:
    """Without instruction tuning, the adapter of continued pre-training is the tuned model."""
    first, none = parameters.continued_pretraining, "training.method is none, so that nothing is trained on pairs,"
    if not first.enabled:
        raise InputError(
            f"{none} and continued_pretraining.enabled is false, so nothing would be trained at all; set that to true, "
            "or the method to lora or full."
        )
    if first.handover == "merged":
        raise InputError(
            f"{none} and continued_pretraining.handover is merged, but no stage follows that could start on the merged "
            "model; set the handover to adapter and run the pipeline merging for a whole model."
        )
    if parameters.canaries.enabled:
        raise InputError(
            f"{none} and canaries.enabled is true, whose secrets are put among training pairs; set it to false, or "
            "training.method to lora or full."
        )
    if parameters.training.epoch_answers > 0:
        raise InputError(
            f"{none} and training.epoch_answers is {parameters.training.epoch_answers}, but there is no epoch on pairs "
            "after which questions could be asked; set it to 0, or training.method to lora or full."
        )


def _check_passages(parameters: ProjectParams) -> None:
    given = parameters.data_engineering.corpora
    if not any(parameters.corpora[name].layout in ("documents", "pages") for name in given):
        raise InputError(
            "continued_pretraining.enabled is true and none of data_engineering.corpora has passages; add a corpus of "
            "layout documents or pages, or set it to false."
        )


def _check_same_adapter(parameters: ProjectParams) -> None:
    """The second stage can go on with the first one's weights only if they mean the same in both."""
    either = "or set continued_pretraining.handover to merged."
    if parameters.training.method == "full":
        raise InputError(
            "continued_pretraining.handover is adapter and training.method is full, which trains no adapter; set the "
            f"method to lora, {either}"
        )
    first, second = parameters.continued_pretraining.lora.model_dump(), parameters.training.lora.model_dump()
    differing = [key for key in first if first[key] != second[key]]
    if differing:
        clauses = ", ".join(f"{key} ({first[key]} and {second[key]})" for key in differing)
        raise InputError(
            "continued_pretraining.handover is adapter, which trains one adapter in both stages, and "
            f"continued_pretraining.lora and training.lora differ in {clauses}; make them equal, {either}"
        )
    if parameters.training.lora.initialisation != "default":
        raise InputError(
            "continued_pretraining.handover is adapter, and an adapter that was initialised as "
            f"{second['initialisation']} is saved in another form than it is trained in; set "
            f"lora.initialisation to default in both stages, {either}"
        )


@dataclass(frozen=True)
class SavedModel(BaseModel):
    """A whole model that an earlier node saved.

    Attributes:
        folder: kept because a folder of a remote file system goes with its handle.
    """

    folder: PretrainedFolder


def as_base_model(folder: PretrainedFolder) -> BaseModel:
    """A saved whole model in the part of the base model: hashed like any other folder."""
    model = BaseModelDataset(id=str(folder.path)).load()
    return SavedModel(model.source, model.revision, model.sha256, folder)


def create_base(stages: Stages) -> Pipeline:
    """``domain_model``, saved by this or an earlier run, as the ``domain_base`` of the stages behind it.

    The handle is not saved, so every pipeline that reads it holds this node; empty where no model was merged.
    """
    if stages.handover != "merged":
        return Pipeline([])
    return Pipeline([node(as_base_model, inputs="domain_model", outputs="domain_base", name="take_domain_model")])


def absent_pipelines(stages: Stages) -> dict[str, str]:
    """Pipelines that have no node in this plan, with the reason and the way out as a sentence."""
    reasons = {}
    if stages.handover is None:
        reasons["continued_pretraining"] = "continued_pretraining.enabled is false; set it to true."
    if not stages.canaries:
        reasons["canaries"] = "canaries.enabled is false; set it to true."
    if stages.method == "full":
        reasons["merging"] = "training.method is full, so tuned_model is whole already; export that."
    if not stages.on_pairs:
        why = "training.method is none, and every trial is trained on pairs; set it to lora or full."
        reasons |= dict.fromkeys(("search", "sweep"), why)
    return reasons
