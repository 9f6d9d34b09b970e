"""What the report says of the run itself: machine, time, energy, code, versions and the files it read."""

from __future__ import annotations

from typing import Any

from med_lora.report_page.wording import show_bytes, show_seconds

SHORT = 12  # characters of a hash that are shown; the whole one is the title of its cell
JOULES_PER_WATT_HOUR = 3600

Fact = tuple[str, str, str]  # name, value, whole value where the shown one is shortened ("" for none)


def show_run(run: dict[str, Any]) -> dict[str, Any]:
    """The description of a run, ready to be shown.

    Args:
        run: as :func:`describe_run` returns it.

    Returns:
        id; facts, packages: names and values; steps, inputs: rows of tables; several: whether steps are of more than
        one run; measured: whether energy was read for any; note: which earlier steps nothing is known of; rerun: the
        command that repeats the run.
    """
    steps = [_show_step(step) for step in run["steps"]]
    return {
        "id": run["id"],
        "facts": [fact for fact in _list_facts(run) if fact[1]],
        "steps": steps,
        "several": len({step["run"] for step in steps}) > 1,
        "measured": any(step["joules"] != "–" for step in steps),
        "packages": [("Python", run["python"]), *((name, version) for name, version in run["packages"])],
        "inputs": [_show_input(given) for given in run["inputs"]],
        "note": run.get("note", ""),
        "rerun": f"kedro run --config runs/{run['id']}/rerun.yml",
    }


def _list_facts(run: dict[str, Any]) -> list[Fact]:
    machine, code, model = run["machine"], run["code"], run["base_model"] or {}
    energy, memory = run["energy"], run["peak_memory"]
    joules = show_energy(energy["joules"]) if energy["joules"] is not None else "Not measured"
    peak = [f"{_gib(memory['ram_gib'])} of main memory"] if memory.get("ram_gib") is not None else []
    peak += [f"{_gib(memory['gpu_gib'])} of GPU memory"] if memory.get("gpu_gib") is not None else []
    revision = f", revision {model['revision']}" if model.get("revision") else ""
    return [
        ("Run", run["id"], ""),
        ("Repeats the run", run["rerun_of"] or "", ""),
        ("Started", run["started"], ""),
        ("Experiment", run["experiment"], ""),
        ("Environment", run["env"] or "", ""),
        ("Machine", str(machine["kind"]), ""),
        ("System", _describe_machine(machine), ""),
        ("Time of all steps", show_seconds(run["seconds"]), ""),
        ("Energy", ". ".join(filter(None, [joules, energy["source"], energy["note"]])), ""),
        ("Peak memory", ", ".join(peak), ""),
        ("Code", *_describe_code(code)),
        ("Base model", f"{model['id']}{revision}" if model else "", ""),
        ("Weights of the base model", *_shorten(model.get("sha256"))),
        ("Its tokenizer", *_shorten(model.get("tokenizer_sha256"))),
    ]


def _describe_machine(machine: dict[str, Any]) -> str:
    parts = [machine.get("system"), f"{machine['cores']} cores" if machine.get("cores") else ""]
    parts += [
        f"{machine['threads']} {'thread' if machine['threads'] == 1 else 'threads'}" if machine.get("threads") else ""
    ]
    parts += [_gib(machine["memory_gib"]) if machine.get("memory_gib") else ""]
    parts += [f"driver {machine['driver']}" if machine.get("driver") else ""]
    return ", ".join(str(part) for part in parts if part)


def _describe_code(code: dict[str, Any]) -> tuple[str, str]:
    """Version and commit, and whether the files were those of the commit."""
    version, commit = f"med_lora {code['version']}", code["commit"]
    if not commit:
        return ". ".join([version, code.get("note") or "The commit is not known."]), ""
    state = {True: "with changes that are not committed", False: "as committed"}.get(code["dirty"], "")
    return ", ".join(filter(None, [version, f"commit {commit[:SHORT]}", state])), commit


def _shorten(digest: str | None) -> tuple[str, str]:
    return (f"sha256 {digest[:SHORT]}", digest) if digest else ("", "")


def _show_step(step: dict[str, Any]) -> dict[str, str]:
    joules = step.get("joules")
    return {
        "step": step["step"].replace("_", " ").replace(".", ": "),
        "seconds": show_seconds(step["seconds"]),
        "cpu": show_seconds(step["cpu_seconds"]),
        "joules": "–" if joules is None else show_energy(joules),
        "run": step["run"],
        "machine": step["machine"] or "",
    }


def _show_input(given: dict[str, Any]) -> dict[str, str]:
    return {
        "dataset": given["dataset"],
        "path": given["path"],
        "size": show_bytes(given["bytes"]),
        "short": (given["sha256"] or "–")[:SHORT],
        "sha256": given["sha256"] or "",
        "version": given["version"] or "",
        "run": given.get("run") or "",
    }


def show_energy(joules: float) -> str:
    """Watt hours, and joules below one."""
    hours = joules / JOULES_PER_WATT_HOUR
    return f"{joules:.0f} J" if hours < 1 else f"{hours:,.1f} Wh"


def _gib(size: float) -> str:
    return f"{size:.1f} GiB"
