"""Raw corpora -> parsed -> cleaned -> distinct pairs, none of a benchmark -> train, validation, test.

Documents and pages -> passages.
"""

from __future__ import annotations

import pandas as pd
from kedro.pipeline import Node, Pipeline, node

from med_lora.chunks import Chunks
from med_lora.datasets import BaseModel
from med_lora.parameters import CleaningParams, CorpusParams, PassageParams, ScreeningParams
from med_lora.pipelines.data_engineering.cleaning import clean_corpus
from med_lora.pipelines.data_engineering.decontamination import remove_benchmark_overlap
from med_lora.pipelines.data_engineering.deduplication import deduplicate
from med_lora.pipelines.data_engineering.leakage import measure_leakage
from med_lora.pipelines.data_engineering.outcomes import count_outcomes
from med_lora.pipelines.data_engineering.parsing import parse_corpus
from med_lora.pipelines.data_engineering.passages import PassageSource, make_passages
from med_lora.pipelines.data_engineering.rendering import render_pairs
from med_lora.pipelines.data_engineering.sources import Sources
from med_lora.pipelines.data_engineering.splitting import split_pairs
from med_lora.pipelines.data_engineering.topics import focus_from_terms

GENERATED = "generated"


def create_pipeline(sources: Sources) -> Pipeline:
    """The pipeline for what an experiment's corpora give; without a corpus of pairs it ends at the passages."""
    nodes = [_passage_node(name) for name in sources.passages]
    if sources.passages:
        inputs = [f"passages_{name}" for name in sources.passages]
        nodes.append(node(collect_passages, inputs=inputs, outputs="passages", name="collect_passages"))
    nodes += [_parse_node(name) for name in dict.fromkeys(sources.pairs + sources.benchmarks)]
    of_pairs = [*sources.pairs, *([GENERATED] if sources.generator else [])]
    terms = dict(sources.terms)
    nodes += [_clean_node(name, terms.get(name)) for name in of_pairs]
    if of_pairs:
        nodes += _joint_nodes(of_pairs, sources.benchmarks)
    return Pipeline(nodes)


def _joint_nodes(of_pairs: list[str], benchmarks: tuple[str, ...]) -> list[Node]:
    """From the cleaned pairs of every corpus to the splits."""
    return [
        node(
            deduplicate,
            inputs=["params:data_engineering.deduplication", *(f"cleaned_{name}" for name in of_pairs)],
            outputs=["distinct_pairs", "unusable_pairs"],
            name="deduplicate",
        ),
        node(
            remove_benchmark_overlap,
            inputs=[
                "distinct_pairs",
                "unusable_pairs",
                "params:data_engineering.benchmark_overlap",
                *(f"parsed_{name}" for name in benchmarks),
            ],
            outputs=["qa_pairs", "rejected_pairs", "benchmark_overlap"],
            name="remove_benchmark_overlap",
        ),
        node(
            count_outcomes,
            inputs=["qa_pairs", "rejected_pairs", *(f"parsed_{name}" for name in of_pairs)],
            outputs="row_outcomes",
            name="count_outcomes",
        ),
        node(
            split_pairs,
            inputs=["qa_pairs", "params:data_engineering.split"],
            outputs=["train", "validation", "test", "unused_pairs"],
            name="split_pairs",
        ),
        node(measure_leakage, inputs=["train", "validation", "test"], outputs="leakage", name="measure_leakage"),
        node(
            render_pairs,
            inputs=["train", "validation", "test", "params:prompt", "base_model"],
            outputs="rendered_pairs",
            name="render_pairs",
        ),
    ]


# The functions below are closures, since a partial would hide the types of the parameters from Kedro, which checks them
# before a run.
def _parse_node(name: str) -> Node:
    def parse(records: Chunks, corpus: CorpusParams) -> Chunks:
        return parse_corpus(records, corpus, name)

    inputs = [f"raw_{name}", f"params:corpora.{name}"]
    return node(parse, inputs=inputs, outputs=f"parsed_{name}", name=f"parse_{name}")


def _clean_node(name: str, terms: str | None) -> Node:
    """The cleaning of one corpus; ``terms`` is the corpus of topics that its answers name."""
    inputs = [f"parsed_{name}", "params:data_engineering.cleaning", "params:data_engineering.screening"]

    def clean_generated(pairs: Chunks, cleaning: CleaningParams, screening: ScreeningParams) -> Chunks:
        return clean_corpus(pairs, cleaning, screening, artefacts=[])

    def clean(pairs: Chunks, cleaning: CleaningParams, screening: ScreeningParams, corpus: CorpusParams) -> Chunks:
        return clean_corpus(pairs, cleaning, screening, corpus.artefacts)

    def clean_and_name_focus(
        pairs: Chunks, cleaning: CleaningParams, screening: ScreeningParams, corpus: CorpusParams, terms: Chunks
    ) -> Chunks:
        known = [term for chunk in terms for term in chunk["term"]]
        return clean(pairs, cleaning, screening, corpus).map(lambda chunk: focus_from_terms(chunk, known))

    if name == GENERATED:
        return node(clean_generated, inputs=inputs, outputs=f"cleaned_{name}", name=f"clean_{name}")
    inputs.append(f"params:corpora.{name}")
    if terms is None:
        return node(clean, inputs=inputs, outputs=f"cleaned_{name}", name=f"clean_{name}")
    return node(clean_and_name_focus, inputs=[*inputs, f"raw_{terms}"], outputs=f"cleaned_{name}", name=f"clean_{name}")


def _passage_node(name: str) -> Node:
    def split_passages(
        records: Chunks,
        corpus: CorpusParams,
        passages: PassageParams,
        screening: ScreeningParams,
        base_model: BaseModel,
    ) -> pd.DataFrame:
        source = PassageSource(name, corpus.licence, "pages" if corpus.layout == "pages" else "documents", records)
        return make_passages(passages, screening, base_model.tokenizer(), source)

    parameters = ["passages", "screening"]
    inputs = [
        f"raw_{name}",
        f"params:corpora.{name}",
        *(f"params:data_engineering.{part}" for part in parameters),
        "base_model",
    ]
    return node(split_passages, inputs=inputs, outputs=f"passages_{name}", name=f"split_passages_{name}")


def collect_passages(*passages: pd.DataFrame) -> pd.DataFrame:
    """The passages of all corpora, in their order."""
    return pd.concat(passages, ignore_index=True)
