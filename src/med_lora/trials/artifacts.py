"""What a sweep or a search leaves: its trials in order of merit, and the best settings as an experiment file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters.trials import Setting
from med_lora.trials.result import TrialResult

# The best file is an experiment of one training on whatever machine it is run.
_LEFT_OUT = ("experiment", "hardware", "search", "sweep")
_WHOLE = ("rank", "step", "tokens", "trained_parameters")


def rank_results(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Finished trials from the best to the worst, ties by name; then those without a figure, by name.

    Raises:
        InputError: if none finished, with the reason of one that failed.
    """
    finished = [result for result in results if result.value is not None]
    if not finished:
        reasons = [f"{result.name}: {result.reason}" for result in results if result.reason]
        raise InputError(f"None of {len(results)} trials finished; {reasons[0] if reasons else 'all were pruned.'}")
    sign = 1.0 if finished[0].direction == "lower" else -1.0
    finished.sort(key=lambda result: (sign * _value(result), result.name))
    return finished + sorted((result for result in results if result.value is None), key=lambda result: result.name)


def tabulate(ranked: Sequence[TrialResult]) -> pd.DataFrame:
    """One row a trial, in the order of ``rank_results``.

    Returns:
        Columns rank (1 is best; missing without a figure), name, state, a column a setting, objective, better (lower or
        higher), value, a column a figure, validation_pairs, seconds, tokens, tokens_per_second, reason.
    """
    settings = list(dict.fromkeys(key for result in ranked for key in result.settings))
    figures = sorted({name for result in ranked for name in result.figures})
    rows = [
        {
            "rank": place if result.value is not None else None,
            "name": result.name,
            "state": result.state,
            **{key: result.settings.get(key) for key in settings},
            "objective": result.objective,
            "better": result.direction,
            "value": result.value,
            **{name: result.figures.get(name) for name in figures},
            "validation_pairs": result.pairs,
            "seconds": result.seconds,
            "tokens": result.tokens,
            "tokens_per_second": result.tokens / result.seconds if result.tokens and result.seconds else None,
            "reason": result.reason,
        }
        for place, result in enumerate(ranked, start=1)
    ]
    table = pd.DataFrame(rows)
    return table.astype({name: "Int64" for name in table.columns if name in _WHOLE})


def write_experiment(own: Mapping[str, Any], ranked: Sequence[TrialResult], experiment: str) -> str:
    """The experiment's own file with the best trial's settings laid over it, as YAML under a comment.

    Args:
        own: what the experiment's file and the command line set.
        ranked: trials in the order of ``rank_results``.
        experiment: name of the experiment.
    """
    import yaml

    best = ranked[0]
    tree: dict[str, Any] = {key: deepcopy(value) for key, value in own.items() if key not in _LEFT_OUT}
    for key, value in best.settings.items():
        _lay(tree, key, value)
    comment = [f"The best of the trials of experiment {experiment}: {best.name}.", *describe_choice(ranked)]
    head = "".join(f"# {line}\n" for line in comment)
    return head + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120)


def describe_choice(ranked: Sequence[TrialResult]) -> list[str]:
    """By what the best was chosen, and why its figure is too good, a sentence each."""
    best, finished = ranked[0], sum(result.value is not None for result in ranked)
    return [
        f"Chosen among {finished} by {best.objective} on {best.pairs} validation pairs "
        f"({_value(best):.4g}; {best.direction} is better).",
        f"The best of {finished} is in part the luckiest: expect less on other pairs, and judge it by the test pairs.",
    ]


def _lay(tree: dict[str, Any], key: str, value: Setting) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _value(result: TrialResult) -> float:
    if result.value is None:
        raise ValueError(f"trial {result.name} has no figure")
    return result.value
