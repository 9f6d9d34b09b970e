"""Kill tiny training runs at random points, start them again, and compare what they end with.

    python benchmarks/resume_drill.py [--kills 100] [--seed 0] [--damage 0.1]

Each run is killed one to three times, at any moment or inside a save, then goes on to its end; after some kills a file
of the newest checkpoint is damaged. Its weights, history and kept step must be those of a run that nobody disturbed,
bit for bit. Prints one line a configuration and the sums; exit status 1 where a run ended otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "grouped, packed, best kept": {},
    "random, unpacked, last kept": {
        "recipe": {"batches": "random", "keep": "last", "patience": None},
        "hardware": {"packing": False},
    },
    "a checkpoint every step": {"recipe": {"checkpoints": 100, "evaluations": 100}},
    "stopped by patience": {"recipe": {"patience": 2, "learning_rate": 0.02}},
    "half an epoch at the end": {"recipe": {"epochs": 2.5, "schedule": "inverse_sqrt", "weight_decay": 0.1}},
    "NEFTune, LoRA+": {"recipe": {"neftune_alpha": 5.0, "lora_plus_ratio": 8.0}},
    "DoRA, rsLoRA": {"lora": {"use_dora": True, "use_rslora": True}},
    "PiSSA, gradient checkpointing": {
        "lora": {"initialisation": "pissa"},
        "hardware": {"gradient_checkpointing": True},
    },
    "all weights": {"lora": None},
    "two processes": {"processes": 2, "hardware": {"micro_batch_size": 2}},
}
PLACES = ("before the first checkpoint", "inside a save", "between checkpoints")


def scenarios(kills: int, seed: int, damage: float) -> list[dict[str, Any]]:
    """The kills dealt to the configurations in turn."""
    names = list(CONFIGURATIONS)
    return [
        {
            "name": name,
            "kills": len(range(number, kills, len(names))),
            "seed": seed + number,
            "damage": damage,
            "synced": True,
            **CONFIGURATIONS[name],
        }
        for number, name in enumerate(names)
    ]


def reasons(log: list[str]) -> list[str]:
    """Why checkpoints were not gone on from, without their names."""
    found = [re.search(r"which was not saved to the end|: (.*)\.$", line) for line in log if "Going on" not in line]
    return [match[1] or "not saved to the end" for match in found if match]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--damage", type=float, default=0.1, help="share of the kills after which a file is damaged")
    options = parser.parse_args()
    planned = json.dumps(scenarios(options.kills, options.seed, options.damage))
    places: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    equal = ended = 0
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.kills", folder, planned],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            played = json.loads(line)
            attempts = played["kills"] + [run for run in played["runs"] if not run["killed"]]
            here = Counter(kill["place"] for kill in played["kills"])
            places += here
            ignored += Counter(reason for one in attempts for reason in reasons(one["log"]))
            equal, ended = equal + played["equal"], ended + len(played["runs"])
            counts = ", ".join(f"{here[place]} {place}" for place in PLACES)
            sys.stdout.write(f"{played['name']}: {counts}; {played['equal']} of {len(played['runs'])} runs equal\n")
            errors = [run["error"].strip().splitlines()[-1] for run in played["runs"] if run["error"]]
            sys.stdout.writelines(f"    {error}\n" for error in errors)
            sys.stdout.flush()
    if process.wait() != 0:
        raise SystemExit(
            "The runs could not be started; run `python -m pytest tests/engine/test_resume.py` for the reason."
        )
    sys.stdout.write(f"{sum(places.values())} kills: {', '.join(f'{places[place]} {place}' for place in PLACES)}\n")
    sys.stdout.write(f"{ignored.total()} checkpoints not gone on from\n")
    for reason, count in ignored.most_common():
        sys.stdout.write(f"    {count} {reason}\n")
    sys.stdout.write(f"{equal} of {ended} runs equal to the undisturbed one, bit for bit\n")
    raise SystemExit(equal != ended)


if __name__ == "__main__":
    main()
