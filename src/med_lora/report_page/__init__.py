"""What the HTML reports share: the page with its policy and style, its figures, and how both come into one file."""

from med_lora.report_page.page import render_page

__all__ = ["render_page"]
