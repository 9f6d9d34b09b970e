"""Raw corpora -> parsed pairs -> clean, distinct pairs -> train, validation, test; textbooks -> passages."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from kedro.pipeline import Node, Pipeline, node

from med_lora.parameters import CorpusParams
from med_lora.pipelines.data_engineering.cleaning import merge_and_clean
from med_lora.pipelines.data_engineering.parsing import parse_corpus
from med_lora.pipelines.data_engineering.passages import read_passages
from med_lora.pipelines.data_engineering.splitting import split_pairs

TEXTBOOKS = "textbooks"


def create_pipeline(corpora: Sequence[str]) -> Pipeline:
    """The pipeline for a choice of corpora.

    Args:
        corpora: names of the corpora, keys of the parameter ``corpora``; their order decides which of two equal pairs
            is kept. ``textbooks`` yields passages, every other one question-answer pairs.
    """
    of_pairs = [name for name in corpora if name != TEXTBOOKS]
    nodes = [_parse_node(name) for name in of_pairs]
    if of_pairs:
        nodes += [
            node(
                func=merge_and_clean,
                inputs=["params:data_engineering.cleaning", *(f"parsed_{name}" for name in of_pairs)],
                outputs=["qa_pairs", "rejected_pairs", "cleaning_report"],
                name="merge_and_clean",
            ),
            node(
                func=split_pairs,
                inputs=["qa_pairs", "params:data_engineering.split"],
                outputs=["train", "validation", "test"],
                name="split_pairs",
            ),
        ]
    if TEXTBOOKS in corpora:
        nodes.append(node(func=read_passages, inputs="raw_textbooks", outputs="passages", name="read_passages"))
    return Pipeline(nodes)


def _parse_node(name: str) -> Node:
    # A closure, since a partial would hide the type of the parameters from Kedro, which checks them before a run.
    def parse(records: pd.DataFrame, corpus: CorpusParams) -> pd.DataFrame:
        return parse_corpus(records, corpus, name)

    return node(
        func=parse,
        inputs=[f"raw_{name}", f"params:corpora.{name}"],
        outputs=f"parsed_{name}",
        name=f"parse_{name}",
    )
