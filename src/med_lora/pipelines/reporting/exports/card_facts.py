"""Sentences that a model card and the reporting checklists share: splits, leaks, limits, privacy, machine."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.parameters import CanariesParams, EvaluationParams
from med_lora.pipelines.reporting.judge_verdict import describe_verdict
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import share, show_seconds, title

# conduct of answers that a reader of the card must know of -> what an answer did
CONDUCT = {
    "unsupported_doses": "state a dose that neither the question nor the reference states",
    "unsupported_numbers": "state a number that neither the question nor the reference states",
    "degenerate": "repeat themselves",
    "answer_cut": "did not end within the length limit",
}
MODELS = frozenset({"adapter", "tuned_model", "domain_adapter", "domain_model"})  # outputs of training steps


def describe_splits(data: dict[str, Any]) -> str:
    """How many pairs and groups each split has, and what keeps them apart."""
    sizes = ", ".join(f"{split['pairs']:,} {split['name']} ({split['groups']:,} groups)" for split in data["splits"])
    settings = data["settings"]["split"]
    how = (
        "related pairs (same topic, document or answer) are kept in one split"
        if settings["mode"] == "group"
        else "pairs were drawn at random, so that related pairs may stand on both sides"
    )
    rows = data["rows"]
    return f"Of {rows['read']:,} rows read, {rows['kept']:,} were kept. Pairs: {sizes}; {how}."


def describe_leakage(data: dict[str, Any]) -> str:
    """What the leak checks between splits found."""
    test = [row for row in data["leakage"] if row["split"] == "test"]
    if not test:
        return "Leaks between the splits were not looked for."
    found = [f"{row['pairs']:,} of {row['of']:,} ({row['kind'].replace('_', ' ')})" for row in test if row["pairs"]]
    if not found:
        return f"None of {len(test)} leak checks found a test pair in the training pairs."
    return f"Test pairs that training pairs resemble: {', '.join(found)}."


def list_verdicts(headline: dict[str, Any], comparison: pd.DataFrame) -> dict[str, str]:
    """Whether each text metric's best null control is beaten, but for metrics in which nobody scores at all."""
    rows = {row["metric"]: row for row in read_records(comparison)}
    scored = {metric: any(row[name] for name in ("base", "tuned", "best_control_mean")) for metric, row in rows.items()}
    return {metric: found["verdict"] for metric, found in headline["best_controls"].items() if scored[metric]}


def describe_limitations(
    comparison: pd.DataFrame,
    headline: dict[str, Any],
    data: dict[str, Any],
    evaluation: EvaluationParams,
    judge_summary: dict[str, Any] | None,
) -> list[str]:
    """What the results do not show, from the results."""
    rows = {row["metric"]: row for row in read_records(comparison)}
    verdicts = list_verdicts(headline, comparison)
    unbeaten = [title(metric) for metric, verdict in verdicts.items() if verdict != "beaten"]
    limits = [
        "Text metrics measure likeness to one reference answer, not medical correctness; a fluent wrong answer can "
        "score well."
    ]
    if unbeaten:
        limits.append(
            f"In {len(unbeaten)} of {len(verdicts)} text metrics it is not shown to beat a null control: "
            f"{', '.join(unbeaten)}."
        )
    limits += [
        f"{share(rows[metric]['tuned'])} of its answers {what} (base model: {share(rows[metric]['base'])})."
        for metric, what in CONDUCT.items()
        if metric in rows and rows[metric]["tuned"] > 0
    ]
    test = next(split for split in data["splits"] if split["name"] == "test")
    limits.append(
        f"It was tested on {test['pairs']:,} pairs of the corpora it was tuned on; other sources, languages and wards "
        "were not looked at, and neither was fairness between groups of people."
    )
    limits.append(
        "One training run with one seed; the intervals hold the sampling of test pairs, not that of training."
    )
    if judge_summary is not None:
        limits.append(
            f"A language model also judged the answers; by its own checks it {describe_verdict(judge_summary)}."
        )
    return limits


def describe_privacy(data: dict[str, Any], canaries: CanariesParams, canary_audit: pd.DataFrame | None) -> list[str]:
    """What was screened, and whether memorisation was audited."""
    acted = [row for row in data["screening"] if row["action"] in ("mask", "reject")]
    found = sum(row["found"] + row["left_out"] for row in acted)
    sentences = [
        f"Training text was screened for {len(acted)} of {len(data['screening'])} classes of identifiers (HIPAA Safe "
        f"Harbor), found {found:,} times and masked or left out. Screened text is not de-identified text."
    ]
    if not canaries.enabled:
        return [*sentences, "Memorisation was not audited: the model may repeat training text."]
    sentences.append(
        f"Made-up secrets were put among the training pairs ({canaries.secrets} secrets, {canaries.repetitions} times "
        "each): these weights are for an audit and not for use."
    )
    for row in read_records(canary_audit) if canary_audit is not None else []:
        sentences.append(
            f"Exposure of these secrets, {title(row['arm']).lower()}: {row['mean_exposure']:.2f} bits on average, "
            f"{row['max_exposure']:.2f} at most, of {row['most']:.2f} possible; about 1.44 for a model that knows none."
        )
    return sentences


def knows_training(run: dict[str, Any]) -> bool:
    """Whether a step that trained the model is among the recorded ones."""
    return any(MODELS & set(step["outputs"]) for step in run["steps"])


def name_code(code: dict[str, Any]) -> str:
    """Version and commit, and whether the code was changed since."""
    if not code["commit"]:
        return f"{code['version']}, commit unknown"
    return f"{code['version']}, commit {code['commit']}{' with local changes' if code['dirty'] else ''}"


def describe_environment(run: dict[str, Any]) -> list[str]:
    """Machine, seconds, energy and versions of the run, as ``describe_run`` states them."""
    machine, energy = run["machine"], run["energy"]
    sentences = [f"Machine: {machine['kind']}, {machine['system']}, Python {run['python']}."]
    if knows_training(run):
        seconds = sum(step["seconds"] for step in run["steps"] if MODELS & set(step["outputs"]))
        sentences.append(f"Training took {show_seconds(seconds)}, the whole run {show_seconds(run['seconds'])}.")
    else:
        recorded = show_seconds(run["seconds"])
        sentences.append(f"The steps that are recorded took {recorded}; training is not among them.")
    if run["note"]:
        sentences.append(run["note"])
    if energy["joules"] is None:
        sentences.append(f"Energy: not measured ({energy['note'].rstrip('.')}).")
    else:
        sentences.append(
            f"Energy: {energy['joules']:,.0f} J by {energy['source']}; emissions depend on the grid, which is not "
            "known here."
        )
    peak = run["peak_memory"]
    gpu = f", {peak['gpu_gib']:.2f} GiB of GPU memory" if peak.get("gpu_gib") is not None else ""
    of_what = "" if knows_training(run) else " of these steps"
    sentences.append(f"Peak memory{of_what}: {peak['ram_gib']:.2f} GiB{gpu}.")
    code = run["code"]
    sentences.append(f"Code: med_lora {name_code(code)}; run {run['id']}.")
    return [*sentences, f"Packages: {', '.join(f'{name} {version}' for name, version in run['packages'])}."]
