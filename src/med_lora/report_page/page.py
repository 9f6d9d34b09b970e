"""One HTML file that opens from disk and asks nothing of any network: plotly.js and the figures stand in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

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
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = _make_environment(package, __package__)
    environment.filters |= filters
    scripts = {"library": get_plotlyjs(), "drawing": DRAWING_SCRIPT}
    return environment.get_template(template).render(
        **values,
        figures={name: embed_figure(figure) for name, figure in figures.items()},
        # plotly escapes what could end a script element; plotly.js and the drawing script are not data
        scripts={name: Markup(script) for name, script in scripts.items()},
        # plotly sets styles of its own, and makes the pictures that are downloaded
        policy=Markup(write_policy([*scripts.values()], "'unsafe-inline'", "data: blob:")),
    )


def render_small_page(package: str, name: str, values: Mapping[str, Any], *more: str) -> tuple[str, str]:
    """A page without figures as one HTML document, and its Content-Security-Policy.

    Args:
        package: package in which ``<name>.html.j2``, ``<name>.css.j2`` and ``<name>.js.j2`` lie. The first takes the
            others as ``style`` and ``script``, into which nothing is put, and may take ``policy``.
        name: of the templates.
        values: what the first puts in, by name; escaped unless it is ``Markup``.
        more: further directives of the policy.
    """
    from markupsafe import Markup

    environment = _make_environment(package)
    style, script = (environment.get_template(f"{name}.{kind}.j2").render() for kind in ("css", "js"))
    policy = write_policy([script], f"'{hash_script(style)}'", "data:", *more)
    template = environment.get_template(f"{name}.html.j2")
    return template.render(**values, style=Markup(style), script=Markup(script), policy=Markup(policy)), policy


def write_policy(scripts: Sequence[str], styles: str, images: str, *more: str) -> str:
    """A Content-Security-Policy under which only these inline scripts run, and nothing is asked of any host."""
    allowed = " ".join(f"'{hash_script(script)}'" for script in scripts)
    rules = (f"script-src {allowed}", f"style-src {styles}", *more, f"img-src {images}")
    return "; ".join(("default-src 'none'", *rules, "base-uri 'none'", "form-action 'none'"))


def _make_environment(*packages: str) -> Environment:
    """Templates of some packages; what is put into them is escaped, and a value that is missing is an error."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(name, package_path="") for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=show_controls,
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
