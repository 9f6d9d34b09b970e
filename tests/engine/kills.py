"""Run by test_resume.py and the drill: tiny training runs that are killed and started again until they end.

usage: python -m tests.engine.kills FOLDER SCENARIOS, where SCENARIOS is a JSON list of Scenario's fields

One line of JSON a scenario goes to standard output. Runs are forks of this process, which has imported everything and
started no thread of its own, so that a start costs milliseconds.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.engine.resumed_run import Reporter, Scenario, join, make_model, train


@dataclass
class Attempt:
    """What became of one process."""

    point: list[Any] | None
    killed: bool
    seconds: float
    place: str = ""
    result: dict[str, Any] | None = None
    error: str = ""
    resumed: str | None = None
    log: list[str] = field(default_factory=list)
    saves: list[float] = field(default_factory=list)


def attempt(folder: Path, scenario: Scenario, point: list[Any] | None) -> Attempt:
    """Fork a run and kill it at ``point``, unless it ends before."""
    read, write = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.setpgid(0, 0)
        reporter = Reporter(write)
        try:
            if scenario.processes > 1:
                reporter.silent = join(folder, scenario.processes) > 0
            train(folder, scenario, point, reporter)
        except BaseException:
            reporter.tell(error=traceback.format_exc())
        os._exit(0)
    os.close(write)
    os.setpgid(child, child)  # it does the same; whoever is first
    events = Events(read)
    if point is not None and point[0] in ("save", "moment"):  # at the others it kills itself
        kill(child, events, point)
    while events.wait(None):
        pass
    os.close(read)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    outcome = Attempt(point, killed=status == -signal.SIGKILL, seconds=time.monotonic() - began)
    events.fill(outcome)
    return outcome


class Events:
    """What a child has reported so far."""

    def __init__(self, pipe: int) -> None:
        self.pipe, self.rest, self.seen = pipe, b"", []  # type: ignore[var-annotated]

    def wait(self, seconds: float | None) -> bool:
        """Read what comes within ``seconds``; False at the end of the pipe, or if nothing comes."""
        if seconds is not None and not select.select([self.pipe], [], [], max(0.0, seconds))[0]:
            return False
        content = os.read(self.pipe, 65536)
        *lines, self.rest = (self.rest + content).split(b"\n")
        self.seen += [json.loads(line) for line in lines]
        return bool(content)

    def count(self, kind: str) -> int:
        return sum(event.get("save") == kind for event in self.seen)

    def fill(self, outcome: Attempt) -> None:
        begun: float | None = None
        for event in self.seen:
            outcome.result = event.get("result", outcome.result)
            outcome.error = event.get("error", outcome.error)
            outcome.resumed = event.get("resumed", outcome.resumed)
            outcome.log += [event["log"]] if "log" in event else []
            if event.get("save") == "begun":
                begun = event["at"]
            elif event.get("save") == "sealed" and begun is not None:
                outcome.saves.append(event["at"] - begun)
                begun = None
        if begun is not None:
            outcome.place = "inside a save"
        elif outcome.resumed is None and not outcome.saves:
            outcome.place = "before the first checkpoint"
        else:
            outcome.place = "between checkpoints"


def kill(child: int, events: Events, point: list[Any]) -> None:
    """Kill the child at ``point``, unless it ends before."""
    kind, *where = point
    until = time.monotonic()
    if kind == "save":
        while events.count("begun") < where[0]:
            if not events.wait(None):
                return
        until = time.monotonic()
    until += where[-1]
    while (left := until - time.monotonic()) > 0:
        time.sleep(left)
    os.killpg(child, signal.SIGKILL)  # where it has ended by itself, it is not yet waited for, and nothing happens


def draw_point(draw: random.Random, whole: Attempt) -> list[Any]:
    """Two of three kills at any moment of a run, the third inside a save, which takes little of the time."""
    if draw.random() < 2 / 3 or not whole.saves:
        return ["moment", draw.uniform(0.0, whole.seconds)]
    length = sum(whole.saves) / len(whole.saves)
    return ["save", draw.randint(1, len(whole.saves)), draw.uniform(0.0, length)]


def spoil(place: Path, draw: random.Random) -> None:
    """Flip a bit of a file of the newest checkpoint, cut the file short, or delete it."""
    checkpoints = sorted(place.glob("checkpoints/*/checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    files = sorted(path for path in checkpoints[-1].rglob("*") if path.is_file()) if checkpoints else []
    if not files:
        return
    file = draw.choice(files)
    content = bytearray(file.read_bytes())
    how = draw.choice(["flip", "cut", "delete"])
    if how == "delete" or not content:
        file.unlink()
    elif how == "cut":
        file.write_bytes(content[: draw.randrange(len(content))])
    else:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(content)


def play(folder: Path, scenario: Scenario, reference: Attempt) -> dict[str, Any]:
    """Runs of the scenario until it has had its kills, against one that nobody disturbed."""
    draw = random.Random(scenario.seed)
    kills: list[Attempt] = []
    runs: list[Attempt] = []
    points = list(scenario.points)
    while len(kills) < scenario.kills:
        place = folder / f"run-{len(runs)}"
        for _ in range(min(draw.randint(1, 3), scenario.kills - len(kills))):
            point = points.pop(0) if points else draw_point(draw, reference)
            last = attempt(place, scenario, point)
            if not last.killed:
                break
            kills.append(last)
            if draw.random() < scenario.damage:
                spoil(place, draw)
        else:
            last = attempt(place, scenario, None)
        runs.append(last)
        shutil.rmtree(place)
    return {
        "name": scenario.name,
        "reference": asdict(reference),
        "kills": [asdict(one) for one in kills],
        "runs": [asdict(one) for one in runs],
        "equal": sum(one.result == reference.result for one in runs),
    }


def main() -> None:
    import datasets  # noqa: F401
    import torch
    import trl.trainer.sft_trainer  # noqa: F401

    import med_lora.models.adapters  # noqa: F401

    torch.set_num_threads(1)
    make_model(Scenario("imports what is still missing", kills=0))
    gc.freeze()  # or each run would go through all these modules' objects
    folder = Path(sys.argv[1])
    references: dict[str, Attempt] = {}
    for number, fields in enumerate(json.loads(sys.argv[2])):
        scenario = Scenario(**fields)
        intact = replace(scenario, name="", kills=0, seed=0, points=[], damage=0.0, without="")
        if repr(intact) not in references:
            references[repr(intact)] = attempt(folder / f"reference-{number}", intact, None)
        reference = references[repr(intact)]
        if reference.result is None:
            raise SystemExit(f"{scenario.name}: {reference.error}")
        result = play(folder / str(number), scenario, reference)
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
