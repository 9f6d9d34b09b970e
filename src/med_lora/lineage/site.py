"""kedro-viz's pages and answers, without what they fetch from other machines."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import fsspec
import kedro_viz
from kedro_viz.api.apps import create_api_app_from_project
from kedro_viz.api.rest.responses.metadata import MetadataAPIResponse
from kedro_viz.api.rest.responses.run_events import RunStatusAPIResponse
from kedro_viz.api.rest.responses.save_responses import save_api_responses_to_fs
from kedro_viz.api.rest.responses.version import get_static_version_response
from kedro_viz.api.rest.utils import get_package_compatibilities
from kedro_viz.server import load_and_populate_data
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route

from med_lora.report_page.wording import shown_place

_PAGES = Path(kedro_viz.__file__).parent / "html"
_FOLDERS = re.compile(r"(file://)?[/~].*/|[A-Za-z]:\\")  # at least one above the last part: a prompt may be /no_think
_REMOTE_LINK = re.compile(r"<link\b[^>]*\bhref=\"https?://[^>]*>")
# kedro-viz's own scripts make functions from text (plotly) and workers from blobs
# what kedro-viz keeps in the browser; its tour of six steps would lie over a quarter of the graph
_NO_TOUR = (
    'const kept = JSON.parse(localStorage.getItem("KedroViz") || "{}"); '
    'localStorage.setItem("KedroViz", JSON.stringify({...kept, showFeatureHints: false}));'
)
_POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; form-action 'none'"


def load_lineage(project: Path, env: str | None, params: dict[str, Any]) -> None:
    """Load pipelines and catalog of an experiment, as ``kedro viz run --include-hooks`` does.

    Raises:
        click.ClickException: if the environment, the experiment or a parameter does not exist.
    """
    load_and_populate_data(project, env, include_hooks=True, package_name="med_lora", extra_params=params)
    logging.getLogger("kedro_viz.models.flowchart.node_metadata").addFilter(_is_news)


def build_site(project: Path, folder: Path) -> None:
    """Write what was loaded to a folder, which takes the place of an earlier one.

    Previews are those that the catalog allows. Paths below the project are shown from there, and of other absolute ones
    the last part, so that the site does not tell where it was built. The status of the last run is left out: a message
    of a library may quote what it read.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(_PAGES, part)
    (part / "index.html").write_text(_page(), encoding="utf-8")
    save_api_responses_to_fs(str(part), fsspec.filesystem("file"), True)
    (part / "api/run-status").write_text(RunStatusAPIResponse().model_dump_json(), encoding="utf-8")
    metadata = MetadataAPIResponse(package_compatibilities=get_package_compatibilities())
    (part / "api/metadata").write_text(metadata.model_dump_json(), encoding="utf-8")  # the page asks for it
    prefix = f"{project.resolve().as_posix()}/"
    for file in (part / "api").rglob("*"):
        if file.is_file():
            answer = json.loads(file.read_text(encoding="utf-8").replace(prefix, ""))
            file.write_text(json.dumps(_hide_places(answer)), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def _hide_places(answer: Any) -> Any:
    """An answer of kedro-viz without the folders of absolute paths, which parameters and datasets may hold."""
    if isinstance(answer, dict):
        return {key: _hide_places(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_hide_places(value) for value in answer]
    is_path = isinstance(answer, str) and "\n" not in answer and _FOLDERS.match(answer)
    return shown_place(answer) if is_path else answer


def serve_lineage(project: Path, port: int) -> None:
    """Show what was loaded to this machine alone, until it is stopped."""
    import uvicorn

    def index(_: Request) -> HTMLResponse:
        return HTMLResponse(_page())

    def version(_: Request) -> JSONResponse:  # kedro-viz's own asks the package index
        return JSONResponse(get_static_version_response().model_dump())

    routes = [
        Route("/", index),
        Route("/workflow", index),
        Route("/api/version", version),
        Mount("/", create_api_app_from_project(project)),
    ]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    uvicorn.run(Starlette(routes=routes, middleware=[guard]), host="127.0.0.1", port=port, log_level="warning")


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a warning says more than that an artifact has not been made yet."""
    return "VersionNotFoundError" not in (record.args or ())


def _page() -> str:
    """kedro-viz's page without fonts and tour, and with a policy under which it can ask nobody but its own server."""
    page = _REMOTE_LINK.sub("", (_PAGES / "index.html").read_text(encoding="utf-8"))
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    return page.replace("<head>", f"<head>\n{policy}\n<script>{_NO_TOUR}</script>", 1)
