"""Trials without a model, and a worker of a search as a process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from med_lora.trials.objective import direction_of
from med_lora.trials.result import TrialResult
from med_lora.trials.settings import TrialParams
from med_lora.trials.trial import PrunedError, Trial


@dataclass(frozen=True)
class Pairs:
    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def loss_of(parameters: TrialParams) -> float:
    """Least at a learning rate of 1e-3, rank 16 and no dropout."""
    recipe, lora = parameters.training.optimisation, parameters.training.lora
    return math.log10(recipe.learning_rate / 1e-3) ** 2 + lora.dropout + 1 / lora.r


def stub_trial(trial: Trial, *args: Any, watch: Any, start: Any, keep_weights: bool) -> TrialResult:
    """A loss that falls to ``loss_of`` over the validations; a learning rate above 5e-3 fails."""
    loss = loss_of(trial.parameters)
    base: dict[str, Any] = {"name": trial.name, "settings": dict(trial.settings), "objective": trial.objective}
    base |= {"direction": direction_of(trial.objective), "pairs": 1, "value": None, "figures": {}}
    if trial.parameters.training.optimisation.learning_rate > 5e-3:
        return TrialResult(**base, state="failed", reason="The training loss became nan at step 3.")
    validations = trial.parameters.training.optimisation.evaluations
    try:
        for number in range(validations + 1):
            watch(10 * number, loss + 1 - number / validations)
    except PrunedError:
        return TrialResult(**base, state="pruned")
    figures = {"validation_loss": loss, "step": 40.0}
    if trial.objective != "validation_loss":
        assert not keep_weights
        figures |= stub_scores(trial.parameters)
    return TrialResult(
        **(base | {"value": figures[trial.objective], "figures": figures}),
        state="finished",
        seconds=1.0,
        tokens=100,
    )


def stub_scores(parameters: Any, *args: Any) -> dict[str, float]:
    """Scores that a lower loss makes higher."""
    score = 1 / (1 + loss_of(parameters))
    return {"rouge_l": score, "bleu": 100 * score, "token_f1": score}


def do_not_wait_for_the_disk() -> None:
    """Only a loss of power, which no test makes, would show the difference."""
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "connect")
    def switch_off(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")


def main() -> None:
    """One worker: ``python -m tests.pipelines.search.stubs FOLDER TRIALS PAUSE STUCK``.

    It appends the settings of every trial it runs to ``FOLDER/log``, takes PAUSE seconds a validation, and stays in the
    second validation of its trial number STUCK for ever, after it wrote ``FOLDER/stuck``.
    """
    import json
    import sys
    import time
    from pathlib import Path

    from med_lora.trials import trial as trials
    from tests.pipelines.search.conftest import Searcher

    do_not_wait_for_the_disk()
    folder, number, pause, stuck = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    run: list[Trial] = []

    def slow_trial(trial: Trial, *args: Any, watch: Any, **kwargs: Any) -> TrialResult:
        run.append(trial)
        with (folder / "log").open("a") as log:
            log.write(json.dumps(trial.settings, sort_keys=True) + "\n")

        def pausing(step: int, loss: float) -> None:
            watch(step, loss)
            time.sleep(pause)
            while len(run) == stuck + 1 and step == 10:
                (folder / "stuck").touch()
                time.sleep(1)

        return stub_trial(trial, *args, watch=pausing, **kwargs)

    trials.run_trial = slow_trial  # type: ignore[assignment]
    trials.check_trial = lambda *args: None
    Searcher(folder)(trials=number, sampler="tpe", prune=True)


if __name__ == "__main__":
    main()
