"""What the tables of a data run say, as plain numbers and names: no text of any pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from med_lora.parameters import CorpusParams, DataEngineeringParams, ScreeningParams, TrainingParams
from med_lora.pipelines.evaluation.splits import Split
from med_lora.report_page.wording import shown_place

STAGES = ("read", "parse", "clean", "deduplicate", "decontaminate")
LENGTH_PARTS = {"prompt": "prompt_tokens", "answer": "answer_tokens", "prompt and answer": "tokens"}


def summarise_data(
    outcomes: pd.DataFrame,
    leakage: pd.DataFrame,
    benchmark_overlap: pd.DataFrame,
    unused: pd.DataFrame,
    token_lengths: pd.DataFrame,
    train: Split,
    validation: Split,
    test: Split,
    corpora: dict[str, Any],
    data_engineering: dict[str, Any],
    training: TrainingParams,
    passages: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Everything that the data sheet and the data report state.

    Args:
        outcomes: corpus, rows_read, stage, outcome, rows. Rows of the corpus "all" are left out; those of the stage
            "screen" count pairs in which a class was found, all others add up to the rows read.
        leakage: split, kind, pairs, of, share.
        benchmark_overlap: id, corpus, benchmark, benchmark_id, kind; a pair found in several ways has several rows.
        unused: id, corpus, reason of the pairs that are in no split.
        token_lengths: as :func:`read_lengths` returns them.
        train: pairs with corpus, focus, question_type, screened and group, as the next two.
        validation: validation pairs.
        test: test pairs.
        corpora: the parameter ``corpora``, values as :class:`CorpusParams` or as plain mappings.
        data_engineering: the parameter of that name, as a :class:`DataEngineeringParams` or as a plain mapping.
        training: the longest sequence trained on.
        passages: corpus, book and licence of every passage, or None.

    Returns:
        Values that JSON can hold, under rows, corpora, sources, reasons, overlapping, overlap, screening, splits,
        described, unused, leakage, lengths, max_length, overlong, generator,
        licences, passages and settings.
    """
    settings = DataEngineeringParams.model_validate(data_engineering)
    known = {name: CorpusParams.model_validate(corpus) for name, corpus in corpora.items()}
    titles = {name: corpus.title for name, corpus in known.items()}
    tables = {"train": train.to_pandas(), "validation": validation.to_pandas(), "test": test.to_pandas()}
    return {
        **_summarise_rows(ends_of_rows(outcomes), titles),
        "sources": _describe_sources(known, settings),
        "overlapping": int(benchmark_overlap["id"].nunique()),
        "overlap": _count_overlap(benchmark_overlap, titles),
        "screening": _describe_screening(outcomes, settings.screening),
        **_summarise_splits(tables, unused, titles),
        "leakage": leakage.to_dict("records"),
        "lengths": _describe_lengths(token_lengths, training.max_length),
        "max_length": training.max_length,
        "overlong": training.overlong,
        "generator": _name_generator(settings),
        "licences": _describe_licences(known, settings),
        "passages": [] if passages is None else _count_passages(passages, titles),
        "settings": settings.model_dump(mode="json", exclude={"question_generation"}),
    }


def _summarise_rows(ends: pd.DataFrame, titles: Mapping[str, str]) -> dict[str, Any]:
    corpora = _describe_corpora(ends, titles)
    return {"rows": _add_up(corpora), "corpora": corpora, "reasons": _list_reasons(ends, titles)}


def _summarise_splits(
    tables: Mapping[str, pd.DataFrame], unused: pd.DataFrame, titles: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "splits": [_describe_split(name, table, titles) for name, table in tables.items()],
        "described": _count_described(pd.concat(tables.values(), ignore_index=True)),
        "unused": _count(unused["reason"]),
    }


def ends_of_rows(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``outcomes`` that say where each row read ended: without totals, without what screening found."""
    return outcomes[(outcomes["corpus"] != "all") & (outcomes["stage"] != "screen")]


def order_stages(names: pd.Series) -> list[str]:
    """The stages at which rows end, in the order in which they pass them."""
    found = list(dict.fromkeys(names))
    return [stage for stage in STAGES if stage in found] + [stage for stage in found if stage not in STAGES]


def title_of(corpus: str, titles: Mapping[str, str]) -> str:
    """What readers call a corpus; one that was made on the way, such as generated pairs, has its own name alone."""
    return titles.get(corpus, corpus.replace("_", " "))


def _describe_corpora(ends: pd.DataFrame, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    described = []
    for name, rows in ends.groupby("corpus", sort=False):
        kept = rows["outcome"] == "kept"
        left_out = rows[~kept].groupby("stage", sort=False)["rows"].sum()
        described.append(
            {"name": str(name), "title": title_of(str(name), titles), "read": int(rows["rows_read"].iloc[0])}
            | {"kept": int(rows.loc[kept, "rows"].sum()), "left_out": {str(k): int(v) for k, v in left_out.items()}}
        )
    return described


def _add_up(corpora: list[dict[str, Any]]) -> dict[str, int]:
    """Totals over the corpora."""
    read, kept = (sum(corpus[name] for corpus in corpora) for name in ("read", "kept"))
    left_out = sum(sum(corpus["left_out"].values()) for corpus in corpora)
    return {"read": read, "kept": kept, "left_out": left_out}


def _list_reasons(ends: pd.DataFrame, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Reasons in the order of the stages, the most frequent first, each with its rows by corpus."""
    given = ends[(ends["outcome"] != "kept") & (ends["rows"] > 0)]
    reasons = []
    for stage in order_stages(given["stage"]):
        for reason, rows in given[given["stage"] == stage].groupby("outcome"):
            counts = {title_of(corpus, titles): int(n) for corpus, n in zip(rows["corpus"], rows["rows"], strict=True)}
            reasons.append({"stage": stage, "reason": str(reason), "rows": sum(counts.values()), "corpora": counts})
    places = {stage: place for place, stage in enumerate(order_stages(given["stage"]))}
    return sorted(reasons, key=lambda entry: (places[entry["stage"]], -entry["rows"], entry["reason"]))


def _count_overlap(overlap: pd.DataFrame, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    counted = []
    for (benchmark, corpus, kind), rows in overlap.groupby(["benchmark", "corpus", "kind"]):
        names = {"benchmark": title_of(str(benchmark), titles), "corpus": title_of(str(corpus), titles)}
        counted.append(names | {"kind": str(kind), "pairs": int(rows["id"].nunique())})
    return counted


def _describe_screening(outcomes: pd.DataFrame, screening: ScreeningParams) -> list[dict[str, Any]]:
    """Each class with its action, the pairs it was found in, and the pairs that were left out for it."""
    counted = outcomes[outcomes["corpus"] != "all"]
    is_screen = counted["stage"] == "screen"
    described = []
    for name in (field for field in type(screening).model_fields if field != "presidio"):
        of_class = counted["outcome"] == f"screened_{name}"
        found, left_out = (int(counted.loc[of_class & rows, "rows"].sum()) for rows in (is_screen, ~is_screen))
        described.append({"name": name, "action": getattr(screening, name), "found": found, "left_out": left_out})
    return described


def _describe_sources(corpora: Mapping[str, CorpusParams], settings: DataEngineeringParams) -> list[dict[str, Any]]:
    uses = dict.fromkeys(settings.benchmarks, "benchmark") | dict.fromkeys(settings.corpora, "data")
    return [
        {"name": name, "title": corpus.title, "use": uses[name], "layout": corpus.layout, "licence": corpus.licence}
        | {"files": [shown_place(file) for file in ([corpus.files] if isinstance(corpus.files, str) else corpus.files)]}
        | {"hub": corpus.hub.model_dump() if corpus.hub else None}
        for name, corpus in ((name, corpora[name]) for name in [*settings.corpora, *settings.benchmarks])
    ]


def _describe_licences(corpora: Mapping[str, CorpusParams], settings: DataEngineeringParams) -> list[dict[str, Any]]:
    from med_lora.pipelines.data_engineering.licences import licence_table

    table: pd.DataFrame = licence_table(corpora, settings.corpora, settings.allow_licences)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _name_generator(settings: DataEngineeringParams) -> str | None:
    """The language model that writes pairs from passages, if one does; a local one is named in the catalog."""
    if settings.question_generation is None:
        return None
    endpoint = settings.question_generation.endpoint
    return endpoint.model if endpoint else "question_model"


def _describe_split(name: str, pairs: pd.DataFrame, titles: Mapping[str, str]) -> dict[str, Any]:
    counts = {title_of(str(corpus), titles): rows for corpus, rows in _count(pairs["corpus"]).items()}
    return {"name": name, "pairs": len(pairs), "groups": int(pairs["group"].nunique()), "corpora": counts}


def _count_described(pairs: pd.DataFrame) -> dict[str, int]:
    """Of all pairs in the splits, those whose optional fields are filled in."""
    fields = ("focus", "question_type", "document", "screened")
    return {"pairs": len(pairs)} | {name: int((pairs[name] != "").sum()) for name in fields}


def _describe_lengths(token_lengths: pd.DataFrame, max_length: int) -> list[dict[str, Any]]:
    """Median, 95th percentile and maximum; all are lengths that occur (the inverted distribution function)."""
    lengths = add_lengths(token_lengths)
    described = []
    for split, rows in lengths.groupby("split", sort=False):
        for part, column in LENGTH_PARTS.items():
            median, high = np.percentile(rows[column], (50, 95), method="inverted_cdf")
            over = int((rows[column] > max_length).sum()) if column == "tokens" else None
            described.append(
                {"split": str(split), "part": part, "pairs": len(rows), "median": int(median), "p95": int(high)}
                | {"max": int(rows[column].max()), "over": over}
            )
    return described


def add_lengths(token_lengths: pd.DataFrame) -> pd.DataFrame:
    """``token_lengths`` with the column tokens: prompt and answer together."""
    return token_lengths.assign(tokens=token_lengths["prompt_tokens"] + token_lengths["answer_tokens"])


def _count_passages(passages: pd.DataFrame, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    groups = passages.groupby(["corpus", "book", "licence"], sort=False)
    return [
        {"corpus": title_of(str(corpus), titles), "book": str(book), "licence": str(licence), "passages": len(rows)}
        for (corpus, book, licence), rows in groups
    ]


def _count(values: pd.Series) -> dict[str, int]:
    """How often each value occurs, by its name: the order of the rows does not matter."""
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}
