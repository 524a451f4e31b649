"""The report: one offline HTML page from a study's results."""

from npuexplore.report.page import render_page

__all__ = ["render_page"]
