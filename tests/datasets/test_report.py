"""The preview of a report: numbers, and nothing that could be text of a record."""

from __future__ import annotations

from pathlib import Path

from kedro_datasets.plotly import JSONDataset

from med_lora.datasets import ReportDataset

PAGE = """<html><head><title>private title</title><style>p { color: red }</style></head><body><main>
<header><p class="eyebrow">private eyebrow</p><h1>an <em>experiment</em></h1><p class="question">private purpose</p>
<div class="lead headline"><div>Perplexity fell
    from 9 to 5,</div><p>which is &lt; 7.</p></div></header>
<section><h2>private heading</h2><table id="comparison" onclick="alert(1)"><tbody>
<tr><th scope="row">BLEU<small>higher</small></th><td class="value">1.5 &amp; more</td></tr></tbody></table>
<p>private paragraph</p><table id="examples"><tr><td>private cell</td></tr></table>
<table><tr><td>private table</td></tr></table></section>
<section class="example"><h3>private question</h3><p>private answer</p></section>
</main><script>"private script"</script></body></html>"""


def preview(folder: Path, page: str) -> str:
    dataset = ReportDataset(filepath=(folder / "report.html").as_posix())
    dataset.save(page)
    return str(dataset.preview())


def test_preview_shows_experiment_headline_and_known_tables(tmp_path: Path) -> None:
    shown = preview(tmp_path, PAGE)
    assert shown.startswith("<h1>an experiment</h1>Perplexity fell from 9 to 5,<p>which is &lt; 7.</p>")
    assert "<h2>Base and tuned model</h2><table><tbody><tr><th" in shown
    for cell in (">BLEU<small", ">higher</small></th>", ">1.5 &amp; more</td></tr></tbody></table>"):
        assert cell in shown
    assert "\n" not in shown


def test_preview_shows_nothing_else(tmp_path: Path) -> None:
    shown = preview(tmp_path, PAGE)
    assert "private" not in shown
    assert "onclick" not in shown


def test_preview_of_an_unknown_page_is_empty(tmp_path: Path) -> None:
    assert preview(tmp_path, "<html><p>private</p></html>") == ""


def test_markup_within_a_cell_stays_text(tmp_path: Path) -> None:
    page = (
        '<table id="comparison"><tr><td>&lt;img src=x onerror=alert(1)&gt;<script>alert(2)</script></td></tr></table>'
    )
    shown = preview(tmp_path, page)
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "<script" not in shown


def test_kedro_viz_takes_it_for_html() -> None:
    """It tells previews apart by the name of what they return."""
    assert ReportDataset.preview.__annotations__["return"] == "HTMLPreview"
    assert JSONDataset.preview.__annotations__["return"] == "PlotlyPreview"
