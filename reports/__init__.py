"""Figures and self-contained HTML pages. No other package draws.

Reports are made from stored data and can be made again at any time. Nothing here judges, and a failure here changes no
verdict.
"""

from splitbrain.reports.matrix import write as matrix
from splitbrain.reports.run import render
from splitbrain.reports.store import index, index_page

__all__ = ["index", "index_page", "matrix", "render"]
