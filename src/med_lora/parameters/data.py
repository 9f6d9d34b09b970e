"""Raw corpora to training, validation and test pairs: what an experiment may set."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from med_lora.errors import nearest
from med_lora.layouts import LAYOUTS
from med_lora.parameters.base import Fraction, Parameters, PositiveInt
from med_lora.parameters.question_generation import QuestionGenerationParams

SplitSize = Annotated[int, Field(ge=0)] | Fraction
_LOGIN = re.compile(r"://[^/]*@")
Screening = Literal["mask", "reject", "report", "ignore"]


class HubParams(Parameters):
    """A data set of the Hugging Face hub, pinned."""

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name of the data set")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="commit; a branch would change under the experiment")


class ArtefactParams(Parameters):
    """What the making of a corpus left in its text, such as a name pasted over words."""

    pattern: str = Field(min_length=1, description="regular expression (Python), matched in questions and answers")
    replacement: str | None = Field(description="text put in its place; null rejects the pair")

    @model_validator(mode="after")
    def _compiles(self) -> ArtefactParams:
        try:
            re.sub(self.pattern, self.replacement or "", "")
        except (re.error, IndexError) as error:
            raise ValueError(f"is no regular expression with its replacement: {error}") from error
        return self


class CorpusFiles(Parameters):
    """Where the records of a raw corpus stand."""

    layout: Literal["alpaca", "pairs", "messages", "medquad", "pages", "pubmedqa", "choices", "documents", "terms"] = (
        Field(
            description="what a record holds; documents yields passages, pages both passages and pairs, terms names of "
            "topics, the others pairs"
        )
    )
    files: str | list[str] = Field(
        description="files or folders below raw_root (or absolute, or protocol://); `*` and `**` stand for names"
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="column of the layout -> column of the file, where the two differ"
    )
    encoding: str = Field(default="utf-8", description="character encoding of text files")
    hub: HubParams | None = Field(default=None, description="where `files` are got; null reads local files alone")

    @field_validator("files")
    @classmethod
    def _names_a_file(cls, files: str | list[str]) -> str | list[str]:
        if not files or not all(files):
            raise ValueError("names no file, or one without a name")
        return files

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError(f"is no character encoding that Python knows: {encoding!r}") from error
        return encoding

    @model_validator(mode="after")
    def _columns_are_known(self) -> CorpusFiles:
        known = LAYOUTS[self.layout].columns if self.layout in LAYOUTS else ()
        for name in self.columns:
            if name not in known:
                raise ValueError(f"columns names {name!r}, which layout {self.layout} lacks{nearest(name, known)}")
        return self

    # A check of the model and not of the field: a field's error quotes the value, which holds the secret.
    @model_validator(mode="after")
    def _holds_no_login(self) -> CorpusFiles:
        files = [self.files] if isinstance(self.files, str) else self.files
        if any(_LOGIN.search(file) for file in files):
            raise ValueError(
                "files must hold neither a name nor a password, which would stand in every run's manifest; leave them "
                "to the protocol's own credentials"
            )
        return self

    @model_validator(mode="after")
    def _has_no_braces(self) -> CorpusFiles:
        files = [self.files] if isinstance(self.files, str) else self.files
        if any(mark in text for text in [*files, *self.columns.values()] for mark in "{}"):
            raise ValueError("files and columns must not hold braces, which Kedro's catalog takes for placeholders")
        return self


class CorpusParams(CorpusFiles):
    """One raw corpus (dataset ``raw_<name>``)."""

    title: str = Field(min_length=1, description="name in tables and reports")
    licence: str = Field(min_length=1, description="SPDX identifier of the licence, or `unknown`")
    focus_terms: str | None = Field(
        default=None, description="corpus of layout terms; a pair whose answer names one of them has it as its focus"
    )
    artefacts: list[ArtefactParams] = Field(default_factory=list, description="mended before anything is compared")


class CleaningParams(Parameters):
    """What a question-answer pair must satisfy by itself to be kept."""

    min_answer_words: PositiveInt = Field(description="shortest answer kept, in words")
    max_answer_words: PositiveInt = Field(description="longest answer kept, in words")
    language: str | None = Field(pattern="^[a-z]{2}$", description="ISO 639-1 code of the text; null takes any")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> CleaningParams:
        if self.max_answer_words < self.min_answer_words:
            raise ValueError("max_answer_words is below min_answer_words")
        return self


class ScreeningParams(Parameters):
    """Privacy screening in the 18 classes of the HIPAA Safe Harbor (45 CFR 164.514(b)(2)(i)).

    A class is masked by a placeholder, rejects the pair, is reported (counted and left), or ignored. Screened text is
    not de-identified text.
    """

    names: Screening = Field(description="names of people")
    geography: Screening = Field(description="subdivisions below a state: streets, cities behind an address, postcodes")
    dates: Screening = Field(description="days and months of a person's life, and ages of 90 and more")
    phones: Screening = Field(description="telephone numbers")
    faxes: Screening = Field(description="fax numbers")
    emails: Screening = Field(description="e-mail addresses")
    social_security_numbers: Screening = Field(description="social security numbers")
    medical_record_numbers: Screening = Field(description="numbers of medical records")
    health_plan_numbers: Screening = Field(description="beneficiary numbers of health plans")
    account_numbers: Screening = Field(description="numbers of accounts")
    licence_numbers: Screening = Field(description="certificates and licences")
    vehicle_numbers: Screening = Field(description="identifiers, serial numbers and plates of vehicles")
    device_numbers: Screening = Field(description="identifiers and serial numbers of devices")
    urls: Screening = Field(description="web addresses")
    ip_addresses: Screening = Field(description="internet protocol addresses")
    biometrics: Screening = Field(description="references to stored finger or voice prints")
    photographs: Screening = Field(description="references to images of a face")
    other_identifiers: Screening = Field(description="any other number or code that marks one person")
    presidio: bool = Field(description="ask presidio-analyzer too (extra `presidio`), for names and places")


class PassageParams(Parameters):
    """Documents and pages to passages."""

    tokens: PositiveInt = Field(description="longest passage, in tokens of the base model's tokenizer")
    overlap: Annotated[int, Field(ge=0)] = Field(description="tokens that neighbouring passages share at most")

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> PassageParams:
        if self.overlap >= self.tokens:
            raise ValueError("overlap must be below tokens")
        return self


class DeduplicationParams(Parameters):
    """When two pairs count as the same."""

    near_jaccard: Fraction = Field(
        description="pairs whose word-3-gram sets have at least this Jaccard similarity count as near duplicates"
    )
    permutations: PositiveInt = Field(description="length of the MinHash signatures that find candidates")


class SplitParams(Parameters):
    """Sizes of the splits: a count of pairs, or a fraction of all pairs."""

    mode: Literal["group", "random"] = Field(
        description="group keeps related pairs on one side; random repeats studies that did not, and leaks"
    )
    train: SplitSize | None = Field(description="pairs to train on; null takes all that remain")
    validation: SplitSize = Field(description="pairs for the validation loss")
    test: SplitSize = Field(description="pairs for the comparison of the arms")
    seed: int = Field(description="seed of the assignment of groups to splits")


class DataEngineeringParams(Parameters):
    """Raw corpora to training, validation and test pairs."""

    corpora: list[str] = Field(min_length=1, description="names of the corpora used, keys of `corpora`")
    allow_licences: list[str] = Field(
        description="licences accepted besides those that permit any use: non-commercial ones, or `unknown`"
    )
    benchmarks: list[str] = Field(description="names of corpora whose questions must not be trained on")
    benchmark_overlap: Literal["remove", "report"] = Field(description="what happens to pairs found in a benchmark")
    cleaning: CleaningParams
    screening: ScreeningParams
    deduplication: DeduplicationParams
    passages: PassageParams
    question_generation: QuestionGenerationParams | None = Field(
        description="pairs that a language model writes from the passages; null writes none"
    )
    split: SplitParams
    report_examples: Annotated[int, Field(ge=0)] = Field(
        description="training pairs of each corpus shown in the data report"
    )

    @field_validator("corpora", "benchmarks")
    @classmethod
    def _are_distinct(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("names a corpus twice")
        return names
