"""Evaluation: every arm on the test pairs, scores beside null controls, the comparison and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from kedro.pipeline import Node, Pipeline, node

from med_lora.arms import ARMS, BARE_ARMS, RAG_ARMS, model_of
from med_lora.models.session import open_session
from med_lora.parameters import ProjectParams
from med_lora.pipelines.evaluation.answers.generation import discard_journal, generate_answers
from med_lora.pipelines.evaluation.answers.server import ask_server_for_base, ask_server_for_tuned
from med_lora.pipelines.evaluation.comparison.arms import compare_arms
from med_lora.pipelines.evaluation.comparison.published import list_published
from med_lora.pipelines.evaluation.comparison.retrieval import compare_retrieval
from med_lora.pipelines.evaluation.comparison.subgroups import compare_subgroups
from med_lora.pipelines.evaluation.comparison.traits import describe_pairs
from med_lora.pipelines.evaluation.controls.texts import collect_texts
from med_lora.pipelines.evaluation.losses.general_text import compare_general, measure_general_text
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from med_lora.pipelines.evaluation.origin import check_domain_adapter, check_tuned, check_tuned_model
from med_lora.pipelines.evaluation.probe_pipeline import create_probes
from med_lora.pipelines.evaluation.scores.choices import score_choices
from med_lora.pipelines.evaluation.scores.conduct import score_conduct
from med_lora.pipelines.evaluation.scores.copying import score_copying
from med_lora.pipelines.evaluation.scores.grounding import score_grounding
from med_lora.pipelines.evaluation.scores.meaning import score_bert, score_embedding
from med_lora.pipelines.evaluation.scores.scoring import (
    collect_scores,
    read_facts,
    score_corpus,
    score_overlap,
)
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages, create_base


class Measures(NamedTuple):
    """What an experiment decides about the shape of the evaluation.

    Attributes:
        engine: what writes the answers.
        bert_score: whether an encoder for BERTScore is named.
        embedding: whether a sentence encoder is named.
        probes: whether there are fixed questions to ask.
    """

    engine: Literal["transformers", "openai"] = "transformers"
    bert_score: bool = False
    embedding: bool = False
    probes: bool = False


# For commands that have no experiment, such as `kedro registry list`.
DEFAULT_MEASURES = Measures()


def measures_of(parameters: ProjectParams) -> Measures:
    """The measures of an experiment."""
    given = parameters.evaluation
    encoders = given.bert_score is not None, given.embedding is not None
    return Measures(given.engine, *encoders, probes=bool(parameters.probes))


def create_pipeline(
    stages: Stages = DEFAULT_STAGES, measures: Measures = DEFAULT_MEASURES, *, retrieval: bool = False
) -> Pipeline:
    """What training saved, ``base_model``, ``train`` and ``test`` to the tables of each arm, scores and comparison.

    The arm ``base`` is the experiment's base model whatever the stages; ``tuned`` is what the last of them left. With
    ``training.method: none`` it saw none of the pairs in ``train``, from which null controls and answers' copying are
    taken all the same; what they say may stand in the passages that it saw.

    Args:
        stages: of the training that left the tuned model.
        measures: what the experiment measures.
        retrieval: whether both models also answer with passages, as the arms ``base_rag`` and ``tuned_rag``; then
            ``grounded_test`` and ``contexts`` are read too: the test pairs whose questions hold the passages, and these
            passages. Of probes it is ``grounded_probes`` and ``probe_contexts``.
    """
    sessions = create_check(stages) + create_sessions(stages)
    arms = sum((create_arm(arm, stages, measures) for arm in _arms(retrieval)), Pipeline([]))
    scored = _create_scores(measures, retrieval) + _create_comparison(retrieval)
    return sessions + arms + scored + (create_probes(_arms(retrieval)) if measures.probes else Pipeline([]))


def _arms(retrieval: bool) -> tuple[str, ...]:
    return ARMS if retrieval else BARE_ARMS


def create_check(stages: Stages) -> Pipeline:
    """What training saved, compared with the run: ``checked_adapter``, or ``tuned_base`` after full fine-tuning.

    An adapter that saw no pairs is compared with the run's ``passages`` and not with ``train``.
    """
    if not stages.on_pairs:
        return Pipeline(
            [
                node(
                    check_domain_adapter,
                    inputs=[stages.tuned, stages.base, "passages", "params:model"],
                    outputs="checked_adapter",
                    name="check_domain_adapter",
                )
            ]
        )
    inputs = {
        "tuned": stages.tuned,
        "base_model": stages.base,
        "train": stages.train,
        "prompt": "params:prompt",
        "model": "params:model",
    }
    if stages.method == "full":
        check = node(check_tuned_model, inputs=inputs, outputs="tuned_base", name="check_tuned_model")
    else:
        if stages.start:
            inputs["start"] = stages.start
        check = node(check_tuned, inputs=inputs, outputs="checked_adapter", name="check_adapter")
    return Pipeline([check]) + create_base(stages)


def create_sessions(stages: Stages) -> Pipeline:
    """``base_session``, and ``tuned_session`` where the tuned arm has weights of its own; both after training."""
    trained = "tuned_base" if stages.method == "full" else "checked_adapter"
    bases = {"base_session": "base_model"}
    if stages.method == "full":
        bases["tuned_session"] = "tuned_base"
    elif stages.base != "base_model":
        bases["tuned_session"] = stages.base
    return Pipeline(
        [
            node(
                open_session,
                inputs=[base, "params:model", "params:hardware", trained],
                outputs=session,
                name=f"open_{session}",
            )
            for session, base in bases.items()
        ]
    )


def tuned_session(stages: Stages) -> str:
    """Dataset with the session of the tuned arm: that of the base model, unless its weights are others."""
    return "base_session" if stages.method != "full" and stages.base == "base_model" else "tuned_session"


def tuned_adapter(stages: Stages) -> str | None:
    """Dataset with the adapter of the tuned arm."""
    return None if stages.method == "full" else "checked_adapter"


def create_arm(arm: str, stages: Stages, measures: Measures) -> Pipeline:
    """One model on the test pairs: answers, losses, and losses of general English.

    General English comes with no question, and so with no passages: it is not measured for an arm that is given some.
    Nothing reads the ``*_batch_losses`` of such an arm: they are for figures as published, which had no passages.

    Args:
        arm: namespace of the nodes and beginning of their outputs' names.
        stages: of the training that left the tuned model.
        measures: what the experiment measures.
    """
    base_model, given = "base_model", {"session": "base_session"}
    if model_of(arm) == "tuned":
        base_model = "tuned_base" if stages.method == "full" else stages.base
        adapter = tuned_adapter(stages)
        given = {"session": tuned_session(stages)} | ({"adapter": adapter} if adapter else {})
    questions = {"test": "grounded_test" if arm in RAG_ARMS else "test", "prompt": "params:prompt"}
    losses = node(
        measure_losses,
        inputs={**given, **questions, "training": "params:training"},
        outputs=[f"{arm}_losses", f"{arm}_batch_losses"],
        name="measure_losses",
        tags="device",
    )
    general = node(
        measure_general_text,
        inputs={**given, "general_english": "general_english"},
        outputs=f"{arm}_general_losses",
        name="measure_general_text",
        tags="device",
    )
    nodes = [losses, *([] if arm in RAG_ARMS else [general])]
    nodes += _answer_nodes(arm, base_model, given, questions, measures)
    if measures.probes:
        asked = questions | {"test": "grounded_probes" if arm in RAG_ARMS else "probe_questions"}
        nodes += _answer_nodes(arm, base_model, given, asked, measures, kind="probe_")
    pipeline = Pipeline(nodes)
    parameters = {name for name in pipeline.inputs() if name.startswith("params:")}
    # outputs without the dot of a namespaced name, which Kedro warns about wherever another pipeline reads it
    return Pipeline(
        nodes,
        namespace=arm,
        inputs=pipeline.inputs() - parameters,
        outputs=pipeline.all_outputs(),
        parameters=parameters,
    )


def _answer_nodes(
    arm: str, base_model: str, given: dict[str, str], questions: dict[str, str], measures: Measures, kind: str = ""
) -> list[Node]:
    """What asks an arm; ``kind`` stands in the names of what belongs to other questions than those of the test."""
    answers, journal = f"{arm}_{kind}answers", f"{arm}_{kind}journal"
    asked = {**questions, "evaluation": "params:evaluation", "journal": journal}
    if measures.engine == "openai":
        # the weights are not loaded, but what they are tells kept answers apart
        given = {key: name for key, name in given.items() if key != "session"} | {"base_model": base_model}
        ask_server = ask_server_for_tuned if model_of(arm) == "tuned" else ask_server_for_base
        ask = node(ask_server, inputs={**given, **asked}, outputs=answers, name=f"ask_{kind}server")
    else:
        name = f"generate_{kind}answers"
        ask = node(generate_answers, inputs={**given, **asked}, outputs=answers, name=name, tags="device")
    return [ask, node(discard_journal, inputs=[answers, journal], outputs=None, name=f"discard_{kind}journal")]


def _create_scores(measures: Measures, retrieval: bool) -> Pipeline:
    """The texts of all arms and controls to one long table of ``scores``, and what each metric is in ``metrics``."""
    facts = [f"{arm}_{table}" for arm in _arms(retrieval) for table in ("answers", "losses")]
    scorers: dict[str, tuple[Callable[..., Any], list[str] | dict[str, str]]] = {
        "overlap": (score_overlap, ["arm_texts", "test", "params:evaluation", "params:hardware"]),
        "conduct": (score_conduct, ["arm_texts", "test"]),
        "choice": (score_choices, ["arm_texts", "test"]),
        "copying": (score_copying, ["arm_texts", "train"]),
        "fact": (read_facts, {table: table for table in facts}),
    }
    encoded = ["params:evaluation", "params:hardware"]
    if measures.bert_score:
        scorers["bert"] = (score_bert, ["arm_texts", "test", "bert_encoder", *encoded])
    if measures.embedding:
        scorers["embedding"] = (score_embedding, ["arm_texts", "test", "sentence_encoder", *encoded])
    texts = {"test": "test", "train": "train", "evaluation": "params:evaluation"}
    texts |= {arm: f"{arm}_answers" for arm in _arms(retrieval)}
    if retrieval:
        scorers["grounding"] = (score_grounding, ["arm_texts", "contexts", "test"])
        texts["contexts"] = "contexts"
    outputs = {kind: [f"{kind}_scores", f"{kind}_metrics"] for kind in scorers}
    tables = [table for pair in outputs.values() for table in pair]
    outputs["overlap"].append("overlap_statistics")
    return Pipeline(
        [
            node(collect_texts, inputs=texts, outputs="arm_texts", name="collect_texts"),
            *(
                node(scorer, inputs=inputs, outputs=outputs[kind], name=scorer.__name__)
                for kind, (scorer, inputs) in scorers.items()
            ),
            node(collect_scores, inputs=["test", *tables], outputs=["scores", "metrics"], name="collect_scores"),
            node(
                score_corpus,
                inputs=["overlap_statistics", "scores", "params:evaluation"],
                outputs="corpus_scores",
                name="score_corpus",
            ),
        ]
    )


def _create_comparison(retrieval: bool) -> Pipeline:
    """Scores and losses to the comparison, its subgroups, forgetting, figures as published, and what passages add."""
    scored = {"scores": "scores", "metrics": "metrics", "evaluation": "params:evaluation"}
    losses = {f"{arm}_losses": f"{arm}_losses" for arm in _arms(retrieval)}
    with_passages = node(
        compare_retrieval, inputs=scored | losses, outputs="retrieval_comparison", name="compare_retrieval"
    )
    return Pipeline(
        [
            *([with_passages] if retrieval else []),
            node(
                compare_arms,
                inputs=["scores", "metrics", "base_losses", "tuned_losses", "params:evaluation"],
                outputs=["comparison", "controls"],
                name="compare_arms",
            ),
            node(
                compare_general,
                inputs=["base_general_losses", "tuned_general_losses", "params:evaluation"],
                outputs="forgetting",
                name="compare_general",
            ),
            node(
                list_published,
                inputs=["comparison", "base_batch_losses", "tuned_batch_losses"],
                outputs="as_published",
                name="list_published",
            ),
            node(describe_pairs, inputs=["test", "train"], outputs="pair_traits", name="describe_pairs"),
            node(
                compare_subgroups,
                inputs=["scores", "metrics", "pair_traits", "params:evaluation"],
                outputs="subgroups",
                name="compare_subgroups",
            ),
        ]
    )
