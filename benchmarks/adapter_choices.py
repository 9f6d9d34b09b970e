"""Which choices of an adapter pay on a small model: held-out answer perplexity of each, over several seeds.

    python benchmarks/adapter_choices.py EXPERIMENT [--env cpu_bf16] [--pairs 1200] [--seeds 3]

Run it where ``kedro run --pipelines=data_engineering --params experiment=EXPERIMENT`` was run. Each choice is one
change to the experiment as it stands, trained on the same first pairs for one epoch with seeds 1, 2, ...; it is
compared with that seed by seed. Prints the ratio of perplexities (below 1 is better) and its range over
the seeds. What was trained before is kept in ``build/adapter_choices`` and not trained again. Only a choice that wins
with every seed can be said to win, and only on this model and corpus.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.datasets.base_model import BaseModelDataset
from med_lora.parameters import parse_parameters
from med_lora.parameters.trials import Setting
from med_lora.trials.settings import TrialParams, apply_settings
from med_lora.trials.trial import Trial, run_trial

FOLDER = Path("build/adapter_choices")
LORA, RECIPE = "training.lora", "training.optimisation"
CHOICES: dict[str, dict[str, Setting]] = {
    "as it stands": {},
    "attention alone": {f"{LORA}.target_modules": "attention"},
    "rank 4": {f"{LORA}.r": 4, f"{LORA}.alpha": 8},
    "rank 64": {f"{LORA}.r": 64, f"{LORA}.alpha": 128},
    "rank 64, alpha 32": {f"{LORA}.r": 64},
    "rank 64, alpha 32, rsLoRA": {f"{LORA}.r": 64, f"{LORA}.use_rslora": True},
    "rsLoRA": {f"{LORA}.use_rslora": True},
    "PiSSA": {f"{LORA}.initialisation": "pissa"},
    "DoRA": {f"{LORA}.use_dora": True},
    "LoRA+ of 8": {f"{RECIPE}.lora_plus_ratio": 8.0},
    "NEFTune of 5": {f"{RECIPE}.neftune_alpha": 5.0},
    "dropout 0.1": {f"{LORA}.dropout": 0.1},
    "loss on all tokens": {"training.loss_on": "all"},
    "a third of the learning rate": {f"{RECIPE}.learning_rate": 1.0e-3},
    "three times the learning rate": {f"{RECIPE}.learning_rate": 9.0e-3},
}


@dataclass(frozen=True)
class Pairs:
    """A split as nodes read it."""

    table: Any

    def to_pandas(self) -> Any:
        return self.table


def newest_split(experiment: str, name: str, count: int | None = None) -> Pairs:
    from datasets import Dataset

    folder = max(Path("data/05_model_input", experiment, name).iterdir()) / name
    table = Dataset.from_file(str(folder / "data.arrow")).to_pandas().sort_values("id", ignore_index=True)
    return Pairs(table.head(count) if count else table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment")
    parser.add_argument("--env", default="cpu")
    parser.add_argument("--pairs", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    runtime = {"experiment": given.experiment}
    loader = ExperimentConfigLoader("conf", given.env, runtime, base_env="base", default_run_env="cpu")
    own = TrialParams.of(parse_parameters(loader["parameters"]))
    train = newest_split(given.experiment, "train", given.pairs)
    validation = newest_split(given.experiment, "validation")
    base = BaseModelDataset(id=own.model.id).load()
    fixed: dict[str, Setting] = {f"{RECIPE}.epochs": 1, f"{RECIPE}.evaluations": 1, f"{RECIPE}.checkpoints": 0}
    losses: dict[str, list[float]] = {name: [] for name in CHOICES}
    for seed in range(1, given.seeds + 1):
        for number, (name, choice) in enumerate(CHOICES.items()):
            settings = fixed | choice | {f"{RECIPE}.seed": seed}
            with_them = apply_settings(own, settings)
            trial = Trial(f"{number:02d}-{seed}", settings, with_them, "validation_loss", own.training.max_length)
            result = run_trial(trial, base, train, validation, FOLDER / given.experiment)
            if result.value is None:
                raise SystemExit(f"{name} with seed {seed} {result.state}: {result.reason}")
            losses[name].append(result.value)
    report(given.experiment, losses, len(train.table), len(validation.table))


def report(experiment: str, losses: dict[str, list[float]], train: int, validation: int) -> None:
    plain = losses["as it stands"]
    perplexities = [math.exp(loss) for loss in plain]
    sys.stdout.write(
        f"{experiment}: {train} training pairs, {validation} validation pairs, n = {len(plain)} seeds; perplexity "
        f"as it stands {statistics.mean(perplexities):.2f} ({min(perplexities):.2f} to {max(perplexities):.2f})\n"
        "| choice | perplexity against it |\n| --- | --- |\n"
    )
    for name, reached in losses.items():
        ratios = [math.exp(loss - other) for loss, other in zip(reached, plain, strict=True)]
        middle, least, most = statistics.mean(ratios), min(ratios), max(ratios)
        sys.stdout.write(f"| {name} | {middle:.3f} ({least:.3f} to {most:.3f}) |\n")


if __name__ == "__main__":
    main()
