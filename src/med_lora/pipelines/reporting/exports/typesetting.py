"""LaTeX text and tables from plain text: everything special is escaped; booktabs and graphicx are enough."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

DASH = "–"
# Rows that a page holds beside a caption, half as many where cells are paragraphs; a longer table is continued.
ROWS_A_PAGE = 40
# Shrinks a table that is wider than the text, and leaves every other one as it is.
FIT = (
    r"\providecommand{\fittable}[1]{\sbox0{#1}\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi}"
)
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "≠": r"$\neq$",
    "∞": r"$\infty$",
    "·": r"$\cdot$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "κ": r"$\kappa$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "°": r"$^{\circ}$",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\u00a0": "~",
    "\u2007": "~",  # as wide as a digit
    "\u202f": r"\,",
    "\u2009": r"\,",
    "\n": " ",
    "\t": " ",
}


class Table(NamedTuple):
    """A table of plain text, as :func:`typeset` takes it.

    Attributes:
        name: end of its label.
        caption: what it shows, with n, intervals and tests.
        head: names of the columns.
        rows: cells; as many in every row as ``head`` has.
        columns: LaTeX column specification; "" for one left column and the others right.
        notes: what stands below it, or below its last part, a paragraph each.
    """

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    columns: str = ""
    notes: Sequence[str] = ()


def escape(text: str) -> str:
    """``text`` as LaTeX shows it.

    Latin letters with accents stay (UTF-8 is LaTeX's default encoding since 2018), other letters lose theirs; a
    character that has no ASCII form is named by its code point.
    """
    shown = ""
    for character, before in zip(text, " " + text, strict=False):
        # two in a row would become a dash or a quotation mark
        apart = "{}" if character == before and character in "-'" else ""
        shown += apart + (_ESCAPES.get(character) or _letter(character))
    return shown


def _letter(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else ""
    if character in "ßæøåÆØÅœŒ" or (character.isalpha() and ord(character) < 0x180):
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(_ESCAPES.get(part, part) for part in plain) or f"U+{ord(character):04X}"


def typeset(table: Table, label: str) -> str:
    """A floating table with booktabs rules, or several where it is too long for a page.

    Args:
        table: plain text.
        label: beginning of the label, ``tab:<experiment>``.

    Raises:
        ValueError: if a row has not as many cells as the head.
    """
    most = ROWS_A_PAGE // 2 if "p{" in table.columns else ROWS_A_PAGE
    parts = [table.rows[place : place + most] for place in range(0, len(table.rows), most)] or [[]]
    pages = []
    for number, rows in enumerate(parts, start=1):
        part = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        named = f"{label}-{table.name}" + (f"-{number}" if number > 1 else "")
        notes = table.notes if number == len(parts) else ()
        pages.append(_typeset_part(table._replace(rows=rows, caption=table.caption + part, notes=notes), named))
    return "\n\n".join(pages)


def _typeset_part(table: Table, label: str) -> str:
    width = len(table.head)
    if any(len(row) != width for row in table.rows):
        raise ValueError(f"a row of the table {table.name} has not {width} cells")
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escape(table.caption)}}}",
        rf"\label{{{label}}}",
        r"\par\smallskip",
        r"\footnotesize",
        rf"\fittable{{\begin{{tabular}}{{{table.columns or 'l' + 'r' * (width - 1)}}}",
        r"\toprule",
        _row(table.head),
        r"\midrule",
        *map(_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    if table.notes:
        paragraphs = r" \\ ".join(map(_begin, table.notes))
        lines.append(rf"\par\smallskip\parbox{{\linewidth}}{{\scriptsize {paragraphs}}}")
    return "\n".join([*lines, r"\end{table}"])


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    return " & ".join([_begin(first), *map(escape, others)]) + r" \\"


def _begin(text: str) -> str:
    """Escaped text behind the end of a row, of which a bracket would be an argument."""
    return ("{}" if text.startswith("[") else "") + escape(text)
