"""One HTML file that opens from disk and asks nothing of any network: plotly.js and the figures stand in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

DRAWING_SCRIPT = """
const draw = (holder) => {
  const figure = JSON.parse(document.getElementById(holder.id + "-data").textContent);
  const options = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["toImage", "resetScale2d"]],
    toImageButtonOptions: {format: "svg", filename: holder.id},
  };
  return Plotly.newPlot(holder, figure.data, figure.layout, options);
};
const holders = Array.from(document.querySelectorAll("[data-figure]"));
holders.forEach(draw);
const resize = (width, tallest) => holders.forEach((holder) => {
  holder.style.zoom = "";
  const scale = Math.min(1, tallest / holder.offsetHeight);
  holder.style.zoom = scale < 1 ? scale : "";
  Plotly.relayout(holder, {width, autosize: width === null});
});
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = Array.from(document.querySelectorAll("details:not([open]):not(.bulk)"));
  folded.forEach((part) => { part.open = true; });
  resize(660, 880);  // what A4 leaves between its margins, less the caption; a taller figure would be cut
});
window.addEventListener("afterprint", () => {
  folded.forEach((part) => { part.open = false; });
  resize(null, Infinity);
});
"""
# U+2400 and on: pictures of control characters, but not of those that end lines
PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}
PICTURES |= dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)


def render_page(
    package: str,
    template: str,
    figures: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]],
    values: Mapping[str, Any],
) -> str:
    """A page as one HTML document; whatever is put into it is escaped unless it is ``Markup``.

    Args:
        package: package in which ``template`` lies.
        template: file that extends ``page.html.j2`` and fills its blocks ``title``, ``style`` and ``main``; there,
            ``{{ figure("name") }}`` of ``figure.html.j2`` stands for a figure.
        figures: ``plotly`` figures, each with its finding in words under ``layout.meta["caption"]``, by element id.
        filters: of the template, by name.
        values: what the template puts in, by name.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    loader = ChoiceLoader([PackageLoader(name, package_path="") for name in (package, __package__)])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=show_controls,
    )
    environment.filters |= filters
    scripts = {"library": get_plotlyjs(), "drawing": DRAWING_SCRIPT}
    return environment.get_template(template).render(
        **values,
        figures={name: embed_figure(figure) for name, figure in figures.items()},
        # plotly escapes what could end a script element; plotly.js and the drawing script are not data
        scripts={name: Markup(script) for name, script in scripts.items()},
        script_hashes=[hash_script(script) for script in scripts.values()],
    )


def show_controls(value: Any) -> Any:
    """Text with what HTML cannot hold made visible; anything else as it is.

    A parser drops NUL, other control characters show nothing, and half of a surrogate pair cannot be written. Control
    characters become their pictures in Unicode.
    """
    return value.translate(PICTURES) if type(value) is str else value


def embed_figure(figure: Any) -> dict[str, Any]:
    """A figure as JSON that is safe inside of a script element, with its title, caption and height in pixels."""
    from markupsafe import Markup

    layout = figure.layout
    return {
        "json": Markup(figure.to_json(engine="json")),
        "title": layout.title.text,
        "caption": layout.meta["caption"],
        "height": layout.height or layout.template.layout.height,
    }


def hash_script(script: str) -> str:
    """The source expression that lets a Content-Security-Policy run exactly this inline script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
