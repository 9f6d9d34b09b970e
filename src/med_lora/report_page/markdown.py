"""Markdown of our own making as HTML that brings nothing in from elsewhere."""

from __future__ import annotations

from markupsafe import Markup


def render_markdown(text: str) -> Markup:
    """CommonMark without its title as HTML; markup in it, links and images stay text.

    Headings are one level further down, below those of the report.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink"])
    tokens = parser.parse(text.split("\n", 1)[1] if text.startswith("# ") else text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1:]) + 1}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))
