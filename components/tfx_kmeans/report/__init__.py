"""A clustering as a page to look at: in a browser, in a notebook, on paper."""

from tfx_kmeans.report.page import render, write

__all__ = ['render', 'write']
