"""What happens around a run: parameters and device are checked first, the headline is printed last."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click
from kedro.framework.hooks import hook_impl
from kedro.io import MemoryDataset

from med_lora.errors import InputError
from med_lora.hardware import check_chip_quantisation, check_device
from med_lora.parameters import ProjectParams, parse_parameters

logger = logging.getLogger(__name__)

# Text may be about patients: no library of this project reports anything to anybody.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
if not sys.stderr.isatty():  # a log file or CI: transformers would write its bars there
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class ProjectHooks:
    """The hooks of the project; a mendable error (InputError) ends a run with its one sentence and exit code 1."""

    def __init__(self) -> None:
        self._settings: dict[str, Any]
        self._parameters: ProjectParams
        self._catalog: Any

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Keep the parameters, which the context has checked, and the experiment's settings."""
        try:
            self._settings = context.config_loader.runtime_params
            self._parameters = parse_parameters(context.config_loader["parameters"])
            if self._parameters.rerun_of is not None:  # its rerun.yml sets everything
                from med_lora.runs.rerun import read_original

                self._settings = read_original(context.project_path, self._parameters.rerun_of)["settings"]
        except InputError as error:
            raise click.ClickException(str(error)) from error

    @hook_impl
    def after_catalog_created(self, catalog: Any) -> None:
        """Keep the catalog, to tell what is written from what stays in memory, and add what the user has set."""
        self._catalog = catalog
        catalog["experiment_settings"] = MemoryDataset(self._settings)  # the experiment's file under --params

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Say what was written, with its rows where it has any."""
        if isinstance(self._catalog[dataset_name], MemoryDataset):
            return
        rows = f", {len(data)} rows" if hasattr(data, "column_names") or hasattr(data, "columns") else ""
        logger.info("Wrote %s%s.", dataset_name, rows)

    @hook_impl
    def before_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        """Stop at once under another launcher, or where a licence, a missing input or device forbids the run."""
        from med_lora.engine.launch import check_launcher
        from med_lora.pipelines.data_engineering.licences import check_licences

        corpora, given = self._parameters.corpora, self._parameters.data_engineering
        terms = [terms for name in given.corpora if (terms := corpora[name].focus_terms)]
        try:
            check_launcher()
            check_licences(corpora, [*given.corpora, *terms], given.allow_licences)
            check_inputs(pipeline, catalog)
        except InputError as error:
            raise click.ClickException(str(error)) from error
        hardware = self._parameters.hardware
        logger.info("Experiment %s on %s (%s).", self._parameters.experiment, hardware.gpu or "CPU", hardware.precision)
        if not any("device" in node.tags for node in pipeline.nodes):
            return
        try:
            check_chip_quantisation(self._parameters.model.quantisation, hardware)
            # torch takes seconds to import: what every CPU can do needs no question
            if (hardware.device, hardware.precision, hardware.sharding) != ("cpu", "fp32", "ddp"):
                check_device(hardware)
            check_base_model(pipeline, catalog)
        except InputError as error:
            raise click.ClickException(str(error)) from error

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Turn an InputError, which Kedro may have wrapped, into a clean end; anything else keeps its traceback."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, InputError):
                raise click.ClickException(str(cause)) from error
            cause = cause.__cause__

    @hook_impl
    def after_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        """Print what this run was for: headline and report, judge and tracks, sheets to send, what could be found."""
        made = pipeline.all_outputs()
        if "power_summary" in made:
            click.echo(f"\n{catalog.load('power_summary')}\n")
        if "rating_sheets" in made:
            click.echo(f"\nRating sheets: {catalog['rating_sheets']._get_load_path()}\n")
        if "judge_summary" in made:
            click.echo("\n{}\n".format(" ".join(catalog.load("judge_summary")["sentences"])))
        if "divergence_verdict" in made:
            click.echo(f"\n{catalog.load('divergence_verdict')}\n")
        if not {"headline", "report"} <= made:
            return
        headline = catalog.load("headline")
        report = catalog["report"]._get_load_path()
        click.echo(f"\n{headline['sentence']}\nReport: {report}\n")


def check_base_model(pipeline: Any, catalog: Any) -> None:
    """Refuse a model that cannot be had; a hub's is asked for its configuration, by the cache or the network."""
    if "base_model" in pipeline.inputs():
        model = catalog["base_model"].load()
        if model.revision is not None:  # of a gated one, nothing but the hub can tell
            model.config()


def check_inputs(pipeline: Any, catalog: Any) -> None:
    """Refuse a choice of nodes that leaves out one that hands something over in memory."""
    for node in pipeline.nodes:
        for name in sorted(({*node.inputs} & pipeline.inputs()) - {"run_record"}):  # made when the checks are passed
            dataset = catalog.get(name)
            if dataset is None or (isinstance(dataset, MemoryDataset) and not dataset.exists()):
                raise InputError(
                    f"{node.name} reads {name}, which is handed over in memory and not kept, so the node that makes it "
                    "has to be in the same run; choose whole pipelines, or begin further ahead (make viz shows where)."
                )
