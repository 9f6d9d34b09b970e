"""The space of a search: from settings of an experiment to distributions of optuna, and a sampler over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from med_lora.errors import InputError
from med_lora.parameters import SearchParams, SearchSpace
from med_lora.parameters.trials import Setting
from med_lora.trials.settings import TrialParams, apply_settings


def make_distributions(space: Mapping[str, SearchSpace]) -> dict[str, Any]:
    """Distributions by key, in the order of the keys: the order of a YAML file must not change what is drawn."""
    return {key: _distribution(space[key]) for key in sorted(space)}


def make_sampler(search: SearchParams, slot: int) -> Any:
    """The sampler of one trial.

    Its random numbers follow from ``search.seed`` and the trial's place in the study alone, so that a study goes on
    after a kill as if nothing had happened.

    Args:
        search: of the experiment.
        slot: how many trials came before.
    """
    import numpy as np
    from optuna.samplers import RandomSampler, TPESampler

    entropy = np.random.SeedSequence([abs(search.seed), int(search.seed < 0), slot])
    seed = int(entropy.generate_state(1)[0])
    if search.sampler == "random":
        return RandomSampler(seed)
    # running trials of other workers count as bad ones (constant liar), so that two do not try the same
    return TPESampler(n_startup_trials=search.startup_trials, multivariate=True, constant_liar=True, seed=seed)


def check_space(search: SearchParams, parameters: TrialParams, has_start: bool) -> None:
    """Raise an InputError for an empty space, an unknown key, or a setting of which every value is refused.

    With ``has_start``, trials go on with the adapter of continued pre-training, whose shape is given.

    A combination of values that do not go together is left to its trial, which fails.
    """
    if not search.space:
        raise InputError(
            "search.space is empty, so there is nothing to search; name settings there, such as training.lora.r."
        )
    for key, space in search.space.items():
        if has_start and (key.startswith("training.lora.") or key == "training.method"):
            raise InputError(
                f"search.space names {key}, and trials go on with the adapter of continued pre-training as it is; "
                "leave the key out, or set continued_pretraining.handover to merged."
            )
        refusals = []
        for value in (values := _examples(space)):
            try:
                apply_settings(parameters, {key: value})
            except InputError as error:
                refusals.append(error)
        if len(refusals) == len(values):
            raise InputError(f"search.space: {refusals[0]}")


def longest_rows(search: SearchParams, parameters: TrialParams) -> int:
    """The largest ``training.max_length`` of the search; all trials are measured on pairs cut to it."""
    space = search.space.get("training.max_length")
    values = [parameters.training.max_length] if space is None else _examples(space)
    return max(value for value in values if isinstance(value, int))


def _examples(space: SearchSpace) -> list[Setting]:
    return space.choices if space.choices is not None else [space.low, space.high]


def _distribution(space: SearchSpace) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if space.choices is not None:
        return CategoricalDistribution(space.choices)
    if isinstance(space.low, int) and isinstance(space.high, int):
        return IntDistribution(space.low, space.high, log=space.log)
    return FloatDistribution(float(space.low or 0.0), float(space.high or 0.0), log=space.log)
