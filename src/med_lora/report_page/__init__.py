"""What the HTML reports share: words for names and numbers, the page with its policy and style, its figures."""

from med_lora.report_page.page import render_page

__all__ = ["render_page"]
