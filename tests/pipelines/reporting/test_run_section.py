"""What the report says of the run: every figure with its unit, and a reason where there is none."""

from __future__ import annotations

from typing import Any

from med_lora.pipelines.reporting.run_section import show_energy, show_run


def facts(run: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {name: (value, whole) for name, value, whole in show_run(run)["facts"]}


def test_a_run_is_described_with_its_machine_time_code_and_model(report_run: dict[str, Any]) -> None:
    told = {name: value for name, (value, _) in facts(report_run).items()}
    assert told == {
        "Run": "2026-11-23T08.00.00.000Z",
        "Started": "2026-11-23T08:00:00Z",
        "Experiment": "embedded",
        "Environment": "local",
        "Machine": "2 x Processor",
        "System": "Linux, 2 cores, 1 thread, 24.0 GiB",
        "Time of all steps": "3 min 5 s",
        "Energy": "Not measured. No counter of this machine can be read.",
        "Peak memory": "1.8 GiB of main memory",
        "Code": "med_lora 0.7.0, commit aaaaaaaaaaaa, with changes that are not committed",
        "Base model": "tiny",
        "Weights of the base model": "sha256 cccccccccccc",
        "Its tokenizer": "sha256 dddddddddddd",
    }


def test_whole_hashes_are_kept_beside_the_shortened_ones(report_run: dict[str, Any]) -> None:
    told = facts(report_run)
    assert told["Code"][1] == "a" * 40
    assert told["Weights of the base model"][1] == "c" * 64
    (given,) = show_run(report_run)["inputs"]
    assert (given["short"], given["sha256"], given["size"]) == ("e" * 12, "e" * 64, "2.0 KiB")


def test_steps_of_earlier_runs_are_told_apart(report_run: dict[str, Any]) -> None:
    shown = show_run(report_run)
    assert shown["several"]
    assert not shown["measured"]
    assert shown["note"] == "Not counted are the steps of an earlier run."
    assert [(step["step"], step["seconds"], step["run"]) for step in shown["steps"]] == [
        ("train adapter", "3 min 5 s", "2026-11-22T03.14.00.123Z"),
        ("write headline", "0.2 s", "2026-11-23T08.00.00.000Z"),
    ]
    alone = report_run | {"steps": report_run["steps"][:1]}
    assert not show_run(alone)["several"]


def test_energy_is_shown_where_it_was_read(report_run: dict[str, Any]) -> None:
    measured = report_run | {"energy": {"joules": 9000.0, "source": "RAPL package counters", "note": ""}}
    measured["steps"] = [report_run["steps"][0] | {"joules": 1800.0}, report_run["steps"][1]]
    assert facts(measured)["Energy"][0] == "2.5 Wh. RAPL package counters"
    assert [step["joules"] for step in show_run(measured)["steps"]] == ["1800 J", "–"]


def test_a_repeated_run_names_the_one_it_repeats_and_how_to_repeat_it(report_run: dict[str, Any]) -> None:
    shown = show_run(report_run | {"rerun_of": "2026-11-22T03.14.00.123Z"})
    assert ("Repeats the run", "2026-11-22T03.14.00.123Z", "") in shown["facts"]
    assert shown["rerun"] == "kedro run --config runs/2026-11-23T08.00.00.000Z/rerun.yml"


def test_what_is_not_known_is_left_out_or_said(report_run: dict[str, Any]) -> None:
    code = {
        "version": "0.7.0",
        "commit": None,
        "dirty": None,
        "changes_sha256": None,
        "note": "There is no git repository.",
    }
    bare = report_run | {"code": code, "base_model": None, "peak_memory": {"ram_gib": None, "gpu_gib": 40.0}}
    told = {name: value for name, (value, _) in facts(bare).items()}
    assert told["Code"] == "med_lora 0.7.0. There is no git repository."
    assert told["Peak memory"] == "40.0 GiB of GPU memory"
    assert not {"Base model", "Weights of the base model", "Its tokenizer"} & set(told)


def test_energy_has_a_unit() -> None:
    assert [show_energy(value) for value in (12.4, 3600.0, 7_200_000.0)] == ["12 J", "1.0 Wh", "2,000.0 Wh"]
