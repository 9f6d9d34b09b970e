"""The memory forecast of each study on each environment, as both are configured: the table of docs/machines.md.

    python benchmarks/study_memory.py [--env v100 a100 h100 h200]

Nothing is read from the hub: shapes of the published models are those of memory_forecast.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from memory_forecast import grown, layers_of, published

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.engine.memory import GIB, forecast
from med_lora.parameters import ProjectParams, TrainingParams, parse_parameters

CONF = Path(__file__).parents[1] / "conf"
# Shape of each study's model. Llama-3.1-8B has that of Llama-3-8B.
MODELS = {
    "kim2024_msk": "Llama-2-13B",
    "medlms_llama2_7b": "Llama-2-7B",
    "medlms_mistral_7b": "Mistral-7B",
    "medlms_llama3_8b": "Llama-3-8B",
    "medlms_gemma_7b": "Gemma-1.1-7B",
    "medlms_distilgpt2": "DistilGPT2",
    "medidialogue": "Llama-2-7B",
    "gpt2_medical_terms": "GPT-2",
    "lund_heart_r16": "Llama-3-8B",
    "lund_heart_r64": "Llama-3-8B",
    "lund_heart_cpt": "Llama-3-8B",
    "best_practice": "Qwen3-1.7B",
}
VALIDATION_ROWS = 128  # enough to fill a batch of every environment


def stages(given: ProjectParams) -> Iterator[tuple[TrainingParams, int]]:
    """The settings of each stage that an experiment trains in, and the tokens of its longest rows."""
    first, second = given.continued_pretraining, given.training
    if second.method != "none":
        yield second, second.max_length
    if first.enabled:
        changes = {"method": "lora", "loss_on": "all", "max_length": first.block_length}
        own = {"lora": first.lora, "optimisation": first.optimisation}
        yield second.model_copy(update=changes | own), first.block_length


def forecast_experiment(experiment: str, env: str, layers: tuple[int, int] = (2, 4)) -> float:
    """GiB of one process of an experiment as configured, rows as long as they may be, validation included."""
    loader = ExperimentConfigLoader(CONF, env, {"experiment": experiment}, base_env="base", default_run_env="cpu")
    given = parse_parameters(loader["parameters"])
    name, found = MODELS[experiment], []
    for training, tokens in stages(given):
        # Validation can be the peak at few layers and training at all of them, so that each grows by itself.
        for validated in (0, VALIDATION_ROWS):
            few, more = (
                (
                    count,
                    forecast(
                        published(name, count),
                        given.model,
                        training,
                        given.hardware,
                        tokens,
                        validation_rows=validated,
                    ).total,
                )
                for count in layers
            )
            found.append(grown(few, more, layers_of(name)) / GIB)
    return max(found)


def studies(environments: list[str]) -> None:
    """Markdown: GiB of each study on each environment, without what answering needs."""
    sys.stdout.write(f"| experiment | {' | '.join(environments)} |\n|---|{'---|' * len(environments)}\n")
    for experiment in MODELS:
        cells = [f"{forecast_experiment(experiment, env):.1f}" for env in environments]
        sys.stdout.write(f"| `{experiment}` | {' | '.join(cells)} |\n")
        sys.stdout.flush()


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", nargs="+", default=["v100", "a100", "h100", "h200"])
    studies(parser.parse_args().env)


if __name__ == "__main__":
    main()
