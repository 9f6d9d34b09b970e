"""Every ``kedro run`` leaves ``runs/<id>/``; no other command does."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.hooks import hook_impl
from kedro.io import MemoryDataset
from kedro.pipeline.node import Node

from med_lora.errors import InputError

if TYPE_CHECKING:
    from med_lora.runs.record import RunRecord


class RunHooks:
    """Feed the record of the run, which nodes find in the catalog as ``run_record``."""

    def __init__(self) -> None:
        self._context: Any = None
        self._catalog: Any = None
        self._record: RunRecord | None = None

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Keep the configuration; a context alone is no run yet."""
        self._context = context
        self._record = None

    @hook_impl(trylast=True)  # a run that the other checks refuse is none
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: Any) -> None:
        """Check what a rerun will read, and begin the record."""
        from med_lora.runs.record import RunRecord
        from med_lora.runs.rerun import check_inputs, read_original

        loader = self._context.config_loader
        parameters = loader["parameters"]
        try:
            if "ParallelRunner" in run_params["runner"]:
                raise InputError(
                    "--runner=ParallelRunner runs nodes in processes that cannot add to the run's manifest; leave "
                    "--runner out, or take ThreadRunner."
                )
            if parameters["rerun_of"] is not None:
                project = self._context.project_path
                check_inputs(read_original(project, parameters["rerun_of"]), catalog, project)
            settings = catalog.load("experiment_settings")
            self._record = RunRecord(run_params, loader.env or loader.default_run_env, parameters, settings)
        except InputError as error:
            raise click.ClickException(str(error)) from error
        self._catalog = catalog
        catalog["run_record"] = MemoryDataset(self._record, copy_mode="assign")
        atexit.register(self._record.interrupt)  # Ctrl-C is no error to Kedro

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """A node begins with its first input."""
        if record := self._open_record():
            record.begin_node(node)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any, node: Node) -> None:
        """Hash what the run starts from."""
        if record := self._open_record():
            record.add_input(dataset_name, self._catalog[dataset_name], data, node)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """A node without inputs begins here."""
        if record := self._open_record():
            record.begin_node(node)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Note what the node took."""
        if record := self._open_record():
            record.end_node(node)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Hash what the run leaves."""
        if record := self._open_record():
            record.add_output(dataset_name, self._catalog[dataset_name], data, node)

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Note where it happened."""
        if record := self._open_record():
            record.fail_in(node)

    @hook_impl(tryfirst=True)  # the other hooks may raise
    def on_pipeline_error(self, error: Exception) -> None:
        """End the record."""
        if record := self._open_record():
            record.fail(error)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """End the record."""
        if record := self._open_record():
            record.finish()

    def _open_record(self) -> RunRecord | None:
        """The record, as long as the run goes on; None in a process that a runner has forked."""
        return self._record if self._record is not None and self._record.is_open else None
