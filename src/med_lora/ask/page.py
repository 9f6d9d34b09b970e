"""The page as one document that asks nothing of any other host, and the policy that holds it to that."""

from __future__ import annotations

from collections.abc import Sequence

from med_lora.ask.command import NOTICE
from med_lora.report_page.page import hash_script

_WHAT = {
    "base": "the model before tuning",
    "tuned": "the tuned model",
    "base_rag": "the model before tuning, given passages",
    "tuned_rag": "the tuned model, given passages",
}


def render_ask_page(experiment: str, arms: Sequence[str]) -> tuple[str, str]:
    """The page's HTML and its Content-Security-Policy, which lets its own script and style run and no others."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("med_lora.ask", package_path=""), autoescape=True, undefined=StrictUndefined
    )
    parts = {name: environment.get_template(f"page.{name}.j2").render() for name in ("css", "js")}
    html = environment.get_template("page.html.j2").render(
        experiment=experiment,
        notice=NOTICE,
        arms=[(arm, _WHAT[arm]) for arm in arms],
        # both are files of this package, and nothing is put into them
        style=Markup(parts["css"]),
        script=Markup(parts["js"]),
    )
    policy = (
        f"default-src 'none'; script-src '{hash_script(parts['js'])}'; style-src '{hash_script(parts['css'])}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy
