"""The command ``runs``; whatever takes time to import waits until a command has been understood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from med_lora.errors import InputError
from med_lora.project_folder import check_project_folder

if TYPE_CHECKING:
    from med_lora.runs.history import Run
    from med_lora.runs.removal import Removal


@click.group(invoke_without_command=True)
@click.pass_context
def runs(context: click.Context) -> None:
    """List, name, compare, remove and verify runs; without a command, list them.

    RUN is an id, the beginning of one, a name, or `latest`: the newest that is no rerun.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_runs)


@runs.command("list")
@click.option("--long", is_flag=True, help="Also machine, pipelines, size, and the headline whole.")
def list_runs(long: bool = False) -> None:
    """Show all runs, the newest first."""
    from med_lora.runs.listing import list_lines

    with _one_sentence():
        found = _read()
        if not found:
            click.echo(f"No run has left a manifest in {Path.cwd() / 'runs'} yet; `kedro run` does.")
            return
        for line in list_lines(found, long):
            click.echo(line)


@runs.command("name")
@click.argument("run")
@click.argument("name")
def name_one(run: str, name: str) -> None:
    """Give RUN a name that the other commands take."""
    from med_lora.runs.history import find_run, name_run

    with _one_sentence():
        found = _read()
        name_run(found, find_run(found, run), name)


@runs.command("compare")
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Show what differs between two runs: first what could explain it, then what came of it."""
    from med_lora.runs.history import find_run
    from med_lora.runs.listing import compare_lines

    with _one_sentence():
        found = _read()
        for line in compare_lines(Path.cwd(), find_run(found, first), find_run(found, second)):
            click.echo(line)


@runs.command("remove")
@click.argument("run", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Even what a run that is kept was made from.")
def remove_some(run: Sequence[str], yes: bool, force: bool) -> None:
    """Delete each RUN with all that it has written."""
    from med_lora.runs.history import find_run
    from med_lora.runs.removal import check_unused, plan_removal, remove

    with _one_sentence():
        found = _read()
        chosen = list({one.id: one for one in (find_run(found, text) for text in run)}.values())
        if not force:
            check_unused([one for one in found if one not in chosen], chosen)
        removals = [plan_removal(Path.cwd(), one) for one in chosen]
        for removal in removals:
            _show_removal(removal)
        if not yes:
            click.confirm("Delete all of this?", abort=True)
        for removal in removals:
            remove(removal)
            click.echo(f"Removed {removal.run.label}.")


def _show_removal(removal: Removal) -> None:
    from med_lora.report_page.wording import show_bytes

    run, artifacts = removal.run, removal.artifacts
    goes_on = " It says that it is running: make sure that it is not." if run.status == "unfinished" else ""
    click.echo(f"{run.label}: {len(artifacts)} artifacts, {show_bytes(removal.size)}, and {run.folder}.{goes_on}")
    for artifact in artifacts:
        click.echo(f"  {artifact.folder.relative_to(Path.cwd())} ({show_bytes(artifact.size)})")
    if removal.shared:
        click.echo(f"  It stays, since it is not of this run alone: {', '.join(removal.shared)}.")


@runs.command("verify")
@click.argument("run")
@click.pass_context
def verify(context: click.Context, run: str) -> None:
    """Repeat RUN, and say whether every artifact is byte-identical, or which is the first that is not.

    The rerun stays in the list; `runs remove` takes it away. The exit code is 0 only where all are.
    """
    from med_lora.runs.history import find_run
    from med_lora.runs.listing import difference_lines, unknown_code_lines
    from med_lora.runs.verify import compare_with_here, repeat_run, verification_lines, verify_run

    with _one_sentence():
        original = find_run(_read(), run)
        differences = {kind: facts for kind, facts in compare_with_here(Path.cwd(), original).items() if facts}
        click.echo(
            f"Here and now against {original.label}: {'' if differences else 'nothing is known to differ.'}".strip()
        )
        for line in [*difference_lines(differences), *unknown_code_lines([original])]:
            click.echo(line)
        found = verify_run(original, repeat_run(Path.cwd(), original))
    for line in verification_lines(original, found):
        click.echo(line)
    context.exit(0 if found.succeeded else 1)


def _read() -> list[Run]:
    from med_lora.runs.history import read_runs

    check_project_folder(Path.cwd())
    return read_runs(Path.cwd() / "runs")


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:  # the reader of the output has gone, which click knows
        raise
    except OSError as error:
        place = error.filename or Path.cwd() / "runs"
        raise click.ClickException(
            f"{place} cannot be read or written ({error.strerror or type(error).__name__}); mend that, then try again."
        ) from error
