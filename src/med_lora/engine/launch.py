"""Ranks: the processes that train together, started by torch's elastic launcher from inside a node.

The launcher is torchrun's own, so that one machine and several work alike: on each machine one agent starts the ranks
of its GPUs, and the agents meet by c10d rendezvous. There are no restarts: a run that ended goes on from its newest
checkpoint when it is started again.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Never, TypeVar

from med_lora.engine.machines import wait_for_all_ranks
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams

Job = TypeVar("Job")
Result = TypeVar("Result")

RUN_ID = "med_lora"  # all machines must name the same; the rendezvous' port tells runs apart
MEETING = 600  # seconds that the machines wait for one another
COLLECTIVE = timedelta(minutes=30)  # that ranks wait for one which validates or saves alone
# The agent looks at its ranks ten times a second. One that fails stays this long, so that it is seen to end before
# those that fail because it did.
LINGER = 1.0


def run_on_ranks(function: Callable[[Job], Result], job: Job, hardware: HardwareParams) -> Result:
    """``function(job)`` in this process, or in ``hardware.processes`` ranks on each of ``hardware.machines``.

    Args:
        function: importable by name, since each rank is a new Python; it runs in all of them, inside an initialised
            process group (NCCL on GPUs, gloo beside it and on a CPU).
        job: its argument; a file carries it until all ranks have read it, as the launcher would pickle it once a rank
            and wait for each.
        hardware: processes, machines, rendezvous, threads.

    Returns:
        What global rank 0 returned, on every machine.

    Raises:
        InputError: raised by any rank, with its own sentence; or if a launcher such as torchrun stands around this
            process, or the machines do not meet.
        RuntimeError: if a rank failed otherwise or was killed, with its own traceback, and its exception as the cause
            where that can be pickled. All other ranks are ended first.
    """
    check_launcher()
    if hardware.processes * hardware.machines == 1:
        return function(job)
    from torch.distributed.elastic.multiprocessing import SignalException

    from med_lora.engine.memory import release_gpu_memory

    release_gpu_memory()  # else the ranks would find it taken
    try:
        with TemporaryDirectory(prefix="med_lora-ranks-") as folder:
            exchange = Path(folder)
            with (exchange / "job").open("wb") as stream:
                pickle.dump((function, job), stream)
            return _launch(exchange, hardware)  # type: ignore[no-any-return]
    except SignalException as error:
        signal.raise_signal(error.sigval)  # what it would have done without the agent's handlers
        raise


def check_launcher() -> None:
    """Raise an InputError if a launcher started this process several times: each would run the whole pipeline."""
    world = os.environ.get("WORLD_SIZE", "1")
    if world != "1":
        raise InputError(
            f"WORLD_SIZE is {world}, so torchrun or another launcher has started this command several times; start it "
            "once on each machine without one, since hardware.processes starts the ranks of training itself."
        )


def _launch(exchange: Path, hardware: HardwareParams) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    alone = hardware.machines == 1
    config = LaunchConfig(
        min_nodes=hardware.machines,
        max_nodes=hardware.machines,
        nproc_per_node=hardware.processes,
        run_id=RUN_ID,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0" if alone else str(hardware.rendezvous),  # port 0: a free one
        rdzv_configs={"join_timeout": MEETING},
        local_addr="localhost" if alone else None,
        max_restarts=0,
        start_method="spawn",
        # what ranks print, other than the first of this machine, goes into files
        logs_specs=DefaultLogsSpecs(str(exchange), redirects=dict.fromkeys(range(1, hardware.processes), Std.ALL)),
    )
    try:
        with _quiet_agent():
            results = elastic_launch(config, _run_rank)(str(exchange), os.getcwd(), hardware)
    except ChildFailedError as error:
        _raise_failure(error, exchange, hardware)
    except RendezvousError as error:
        raise InputError(
            f"The {hardware.machines} machines of this environment did not meet at {hardware.rendezvous} "
            f"({_first_line(error)}); start the same command on each of them within {MEETING // 60} minutes, with the "
            "same MED_LORA_RENDEZVOUS, which all must be able to reach."
        ) from error
    return results[min(results)]


@contextmanager
def _quiet_agent() -> Iterator[None]:
    """Silence the agent's log, which repeats what is raised, and give back the signal handlers that it replaces."""
    loggers = [logging.getLogger(f"torch.{name}") for name in ("distributed.elastic", "multiprocessing")]
    propagate = [logger.propagate for logger in loggers]
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    handlers = {number: signal.getsignal(number) for number in numbers}
    sink = logging.NullHandler()
    for logger in loggers:
        logger.addHandler(sink)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, value in zip(loggers, propagate, strict=True):
            logger.removeHandler(sink)
            logger.propagate = value
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:  # only the main thread's agent replaces them
                signal.signal(number, handler)


def _run_rank(folder: str, cwd: str, hardware: HardwareParams) -> Any:
    """One rank, in a fresh Python: its part of the work, and on failure the exception left in ``folder``."""
    import torch.distributed as dist

    rank, exchange = int(os.environ["RANK"]), Path(folder)
    os.chdir(cwd)
    _set_up_logging(rank)
    try:
        _join_group(hardware)
        with (exchange / "job").open("rb") as stream:
            function, job = pickle.load(stream)
        wait_for_all_ranks()
        if os.environ["LOCAL_RANK"] == "0":
            (exchange / "job").unlink()  # else a kill would leave what it holds: the rows, a study's database
        shared = [function(job)]
        dist.broadcast_object_list(shared, src=0)
        dist.destroy_process_group()
    except Exception as error:
        _leave(error, exchange / f"rank-{rank}")
        time.sleep(LINGER)
        raise
    return shared[0] if os.environ["LOCAL_RANK"] == "0" else None


def _set_up_logging(rank: int) -> None:
    """Rank 0 logs as the command that started it does, the others not at all."""
    if rank == 0:
        logging.getLogger("kedro.framework.project").addFilter(lambda record: False)  # it names its file once more
        from kedro.framework.project import LOGGING  # importing it applies conf/logging.yml

        LOGGING.set_project_logging("med_lora")
        return
    logging.disable(logging.CRITICAL)
    os.environ["TQDM_DISABLE"] = "1"


def _join_group(hardware: HardwareParams) -> None:
    """Divide the CPU's threads among the ranks of this machine, take this rank's GPU, and meet the other ranks."""
    import torch
    import torch.distributed as dist

    from med_lora.hardware import prepare_device

    if not hardware.threads and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // hardware.processes))
    device = prepare_device(hardware)
    if device.type == "cpu":
        dist.init_process_group("gloo", timeout=COLLECTIVE)
    else:
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=COLLECTIVE, device_id=device)


def _leave(error: Exception, file: Path) -> None:
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:  # an exception may hold anything; its traceback travels as text in any case
        return
    file.write_bytes(content)


def _raise_failure(error: Any, exchange: Path, hardware: HardwareParams) -> Never:
    """Raise the error of the first rank that failed, as this process should."""
    rank, failure = error.get_first_failure()
    file = exchange / f"rank-{rank}"
    original = pickle.loads(file.read_bytes()) if file.is_file() else None
    if isinstance(original, InputError):
        raise original
    message = failure.message  # a text, or what torch's error handler recorded
    text = message if isinstance(message, str) else message["extraInfo"]["py_callstack"]
    if failure.exitcode < 0:
        text = f"It was ended by {failure.signal_name()}, which the system also sends where memory runs out."
        text += "".join(f"\n{file.read_text(errors='replace')}" for file in _printed(exchange, failure.local_rank))
    count = hardware.processes * hardware.machines
    raise RuntimeError(
        f"Rank {rank} of {count} failed, and all others were ended; nothing was saved.\n{text.strip()}"
    ) from original


def _printed(exchange: Path, local_rank: int) -> list[Path]:
    """Error output of a rank of this machine, where a crash leaves its traceback; that of the first is the console."""
    return sorted(exchange.glob(f"**/{local_rank}/stderr.log"))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
