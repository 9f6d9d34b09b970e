"""The typed parameters of every pipeline: what an experiment may set, in which unit, within which bounds.

Every model refuses unknown keys, so that a typing error stops a run before its first node. The YAML files
under ``conf/`` hold the values; this package holds their meaning.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import Field, model_validator

from med_lora.parameters.base import (
    Parameters,
)
from med_lora.parameters.comparison import ComparisonParams
from med_lora.parameters.data import (
    ArtefactParams,
    CleaningParams,
    CorpusFiles,
    CorpusParams,
    DataEngineeringParams,
    DeduplicationParams,
    HubParams,
    PassageParams,
    ScreeningParams,
    SplitParams,
)
from med_lora.parameters.evaluation import (
    BertScoreParams,
    CanariesParams,
    DecodingParams,
    EmbeddingParams,
    EvaluationParams,
    LatencyParams,
    PowerParams,
    ProbeParams,
    ReportingParams,
)
from med_lora.parameters.judge import JudgeParams, LocalJudgeParams, PriceParams
from med_lora.parameters.llm import EndpointParams, SamplingParams
from med_lora.parameters.model import (
    ArchitectureParams,
    HardwareParams,
    LoraParams,
    ModelParams,
    OptimisationParams,
    PretrainingParams,
    PromptParams,
    TrainingParams,
)
from med_lora.parameters.people import PeopleParams
from med_lora.parameters.question_generation import QuestionGenerationParams
from med_lora.parameters.retrieval import RetrievalEncoderParams, RetrievalParams
from med_lora.parameters.rubric import AxisParams, CriterionParams
from med_lora.parameters.stages import ContinuedPretrainingParams, MergingParams
from med_lora.parameters.study import PublishedParams, StudyParams
from med_lora.parameters.trials import SearchParams, SearchSpace, SweepParams

__all__ = [
    "ArchitectureParams",
    "ArtefactParams",
    "AxisParams",
    "BertScoreParams",
    "CanariesParams",
    "CleaningParams",
    "ComparisonParams",
    "ContinuedPretrainingParams",
    "CorpusFiles",
    "CorpusParams",
    "CriterionParams",
    "DataEngineeringParams",
    "DecodingParams",
    "DeduplicationParams",
    "EmbeddingParams",
    "EndpointParams",
    "EvaluationParams",
    "HardwareParams",
    "HubParams",
    "JudgeParams",
    "LatencyParams",
    "LocalJudgeParams",
    "LoraParams",
    "MergingParams",
    "ModelParams",
    "OptimisationParams",
    "Parameters",
    "PassageParams",
    "PeopleParams",
    "PowerParams",
    "PretrainingParams",
    "PriceParams",
    "ProbeParams",
    "ProjectParams",
    "PromptParams",
    "PublishedParams",
    "QuestionGenerationParams",
    "ReportingParams",
    "RetrievalEncoderParams",
    "RetrievalParams",
    "SamplingParams",
    "ScreeningParams",
    "SearchParams",
    "SearchSpace",
    "SplitParams",
    "StudyParams",
    "SweepParams",
    "TrainingParams",
    "parse_parameters",
]

# It becomes a part of the names of nodes, datasets and files.
_CORPUS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# The sum in tables, the text for pre-training, and what a language model writes; `_figure` ends the names of figures.
_TAKEN_NAMES = frozenset({"all", "general", "generated"})


class ProjectParams(Parameters):
    """Everything a run can set; one key a pipeline."""

    experiment: str
    description: str = Field(description="what the experiment asks, in one sentence")
    study: str | None = Field(description="entry of `studies` that the experiment runs again; null for none")
    study_system: str | None = Field(
        description="the model of `study` that the run stands beside, a key of its systems; null for all of them"
    )
    rerun_of: str | None = Field(description="id of the run that is repeated; set by its rerun.yml alone")
    rehearsal_of: str | None = Field(
        description="experiment that is rehearsed with a stand-in of its model; set by `make rehearse` alone"
    )
    hardware: HardwareParams
    model: ModelParams
    prompt: PromptParams
    corpora: dict[str, CorpusParams]
    data_engineering: DataEngineeringParams
    canaries: CanariesParams
    continued_pretraining: ContinuedPretrainingParams
    training: TrainingParams
    merging: MergingParams
    sweep: SweepParams
    search: SearchParams
    retrieval: RetrievalParams
    evaluation: EvaluationParams
    probes: list[ProbeParams] = Field(
        description="questions without a reference that every arm is asked too, for its answers side by side"
    )
    judge: JudgeParams
    people: PeopleParams
    latency: LatencyParams
    power: PowerParams
    reporting: ReportingParams
    pretraining: PretrainingParams
    comparison: ComparisonParams
    studies: dict[str, StudyParams] = Field(description="published studies by name, with their figures")

    @model_validator(mode="after")
    def _study_is_known(self) -> ProjectParams:
        from med_lora.errors import nearest

        if self.study is not None and self.study not in self.studies:
            known = nearest(self.study, self.studies)
            raise ValueError(f"study names {self.study!r}, which studies does not hold{known}")
        if self.study_system is None:
            return self
        if self.study is None:
            raise ValueError(f"study_system names {self.study_system!r} and study is null; name the study it is of")
        systems = self.studies[self.study].systems
        if self.study_system not in systems:
            known = nearest(self.study_system, systems)
            raise ValueError(f"study_system names {self.study_system!r}, no system of the study {self.study}{known}")
        return self

    @model_validator(mode="after")
    def _names_of_corpora_are_free(self) -> ProjectParams:
        for name in self.corpora:
            if not _CORPUS_NAME.fullmatch(name):
                raise ValueError(f"corpora names {name!r}; the name of a corpus consists of letters, digits, _ and -")
            if name in _TAKEN_NAMES or name.endswith("_figure"):
                raise ValueError(f"corpora names {name!r}, which means something else in this project; rename it")
        return self

    @model_validator(mode="after")
    def _corpora_are_known(self) -> ProjectParams:
        from med_lora.errors import nearest

        given = self.data_engineering
        named = {
            "data_engineering.corpora": given.corpora,
            "data_engineering.benchmarks": given.benchmarks,
            **{f"corpora.{name}.focus_terms": [of.focus_terms] for name, of in self.corpora.items() if of.focus_terms},
        }
        for key, names in named.items():
            for name in names:
                if name not in self.corpora:
                    raise ValueError(f"{key} names {name!r}, which is no corpus{nearest(name, self.corpora)}")
                if (self.corpora[name].layout == "terms") != key.endswith("focus_terms"):
                    raise ValueError(f"{key} names {name!r}, whose layout is {self.corpora[name].layout}")
        for name in given.benchmarks:
            if self.corpora[name].layout == "documents":
                raise ValueError(f"data_engineering.benchmarks names {name!r}, whose layout documents has no questions")
            if name in given.corpora:
                raise ValueError(f"{name!r} is both a corpus and a benchmark of data_engineering; name it in one")
        return self

    @model_validator(mode="after")
    def _probes_differ(self) -> ProjectParams:
        names = [probe.name for probe in self.probes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"probes names {name!r} twice; give each question a name of its own")
        return self

    @model_validator(mode="after")
    def _judge_and_people_share_axes(self) -> ProjectParams:
        if self.judge.enabled and self.people.raters:
            judged = {axis.name: axis for axis in self.judge.axes}
            for axis in self.people.axes:
                if judged.get(axis.name, axis) != axis:
                    raise ValueError(
                        f"judge.axes and people.axes describe {axis.name!r} differently, and their ratings of it are "
                        "compared; give both the same question and anchors, or rename one"
                    )
        return self


def parse_parameters(values: dict[str, Any]) -> ProjectParams:
    """Check a resolved parameter tree.

    Raises:
        InputError: with all faults in one sentence each: the key, what is wrong, and the nearest known key.
    """
    from pydantic import ValidationError

    from med_lora.errors import InputError, nearest

    try:
        return ProjectParams.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"]) or "parameters"
            if fault["type"] == "extra_forbidden":
                known = _known_keys(fault["loc"][:-1])
                faults.append(f"unknown parameter {key}{nearest(str(fault['loc'][-1]), known)}")
            elif fault["type"] == "missing":
                faults.append(f"parameter {key} is missing")
            else:
                given = f" (given: {fault['input']!r})" if not isinstance(fault["input"], dict) else ""
                faults.append(f"parameter {key}: {fault['msg']}{given}")
        sentence = "; ".join(faults)
        raise InputError(sentence if sentence.endswith("?") else f"{sentence}.") from error


def _known_keys(path: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the model at ``path`` below :class:`ProjectParams`."""
    model: Any = ProjectParams
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # a user's own key of a mapping, whose value model is already at hand
        # `dict[str, Model]` and `Model | None` hold the model among their arguments, `Model` has none
        inner = [kind for kind in get_args(field.annotation) if hasattr(kind, "model_fields")]
        model = inner[0] if inner else field.annotation
    return list(model.model_fields)
