"""Comparison and report: what an experiment may set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from med_lora.parameters.base import FilledText, Fraction, Parameters, PositiveInt
from med_lora.parameters.llm import EndpointParams


class DecodingParams(Parameters):
    """How a model's answer is drawn from its probabilities; both arms share it."""

    max_new_tokens: PositiveInt = Field(description="tokens generated per answer at most")
    temperature: Annotated[float, Field(ge=0.0)] = Field(
        description="divides the logits before an answer is sampled; 0 takes the most probable token (greedy)"
    )
    top_k: PositiveInt | None = Field(description="sample among so many most probable tokens; null for all")
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        description="sample among the most probable tokens that hold this probability together "
        "(Holtzman et al. 2020, arXiv:1904.09751)"
    )
    repetition_penalty: Annotated[float, Field(ge=1.0)] = Field(
        description="lowers the logits of tokens that the answer already holds (Keskar et al. 2019, arXiv:1909.05858); "
        "1 does not"
    )
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of sampled answers")


class BertScoreParams(Parameters):
    """The encoder of BERTScore (Zhang et al. 2020, arXiv:1904.09675)."""

    id: str = Field(min_length=1, description="folder of an encoder, or its id on the Hugging Face hub")
    revision: str | None = Field(description="commit of the hub model; null for a folder")
    layer: PositiveInt | None = Field(description="layer whose states are compared, from 1; null for the last")


class EmbeddingParams(Parameters):
    """The sentence encoder of the embedding similarity."""

    id: str = Field(min_length=1, description="folder of a sentence encoder, or its id on the Hugging Face hub")
    revision: str | None = Field(description="commit of the hub model; null for a folder")


class EvaluationParams(Parameters):
    """Comparison of the base and the tuned model on the test pairs."""

    engine: Literal["transformers", "openai"] = Field(
        description="what writes the answers: this process, or a server that speaks OpenAI's protocol"
    )
    endpoints: dict[Literal["base", "tuned"], EndpointParams] = Field(
        description="with engine openai, the server and model name of each arm; losses are measured here all the same"
    )
    decoding: DecodingParams
    confidence: Fraction = Field(description="level of the intervals")
    exclude: list[Literal["answer_cut", "answer_empty", "prompt_truncated"]] = Field(
        description="answers of either arm that leave the pair out of the text metrics: at the length limit, empty, to "
        "a question whose beginning did not fit"
    )
    rouge_beta: Annotated[float, Field(gt=0.0)] = Field(
        description="weight of recall against precision in the F of ROUGE-L, for which Lin (2004) defines it: 1 for "
        "equal weights; ROUGE-1 and -2 are F1"
    )
    bert_score: BertScoreParams | None = Field(description="the encoder of BERTScore; null leaves the metric out")
    embedding: EmbeddingParams | None = Field(
        description="the sentence encoder of the embedding similarity; null leaves the metric out"
    )
    benchmarks: bool = Field(
        description="ask both models the exams of data_engineering.benchmarks too (extra bench), for the report"
    )
    bootstrap_samples: PositiveInt = Field(description="resamples of the cluster bootstrap over groups")
    power: Fraction = Field(description="chance of finding a difference that the detectable one is stated for")
    seed: Annotated[int, Field(ge=0)] = Field(
        description="seed of the bootstrap, of the shuffled and the constant control, and of the report's examples"
    )

    @property
    def significance_level(self) -> float:
        """The p-value below which a difference is claimed, rounded because 1 - 0.95 is a little more than 0.05."""
        return round(1 - self.confidence, 12)

    @model_validator(mode="after")
    def _server_of_each_arm(self) -> EvaluationParams:
        if self.engine == "openai" and set(self.endpoints) != {"base", "tuned"}:
            raise ValueError("engine openai needs endpoints.base and endpoints.tuned")
        return self


class ProbeParams(Parameters):
    """A fixed question without a reference answer, asked of every arm."""

    name: FilledText = Field(description="what tables call it")
    question: FilledText = Field(description="what is asked, in the words of a pair's question")


class ReportingParams(Parameters):
    """The report."""

    examples: Annotated[int, Field(ge=0)] = Field(description="test questions shown with the answers of every arm")


class LatencyParams(Parameters):
    """The latency probe: one question at a time."""

    enabled: bool = Field(description="measure it in every evaluation, for the report; the pipeline latency needs none")
    questions: PositiveInt = Field(description="test questions asked, the first by id")
    warmup: Annotated[int, Field(ge=0)] = Field(description="answers before the measured ones")
    new_tokens: Annotated[int, Field(ge=2)] = Field(description="tokens of every answer; no token ends it earlier")


class PowerParams(Parameters):
    """What a comparison could find, before anything is run."""

    pairs: list[Annotated[int, Field(ge=2)]] = Field(
        description="numbers of independent test pairs to judge, besides that of data_engineering.split.test"
    )
    differences: list[Annotated[float, Field(gt=0.0)]] = Field(
        description="differences to be found, in standard deviations of the paired differences"
    )
    tests: PositiveInt = Field(description="metrics tested together, for Holm's correction")


class CanariesParams(Parameters):
    """Canary audit: how far secrets that were inserted on purpose stand out (Carlini et al. 2019, arXiv:1802.08232)."""

    enabled: bool = Field(description="insert canaries into the training pairs, and measure their exposure afterwards")
    secrets: PositiveInt = Field(description="different canaries inserted")
    repetitions: PositiveInt = Field(description="times each canary is inserted")
    controls: Annotated[int, Field(ge=10)] = Field(description="canaries of the same form that are never inserted")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the secrets and of their places")
