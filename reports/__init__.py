"""A run as figures and one self-contained HTML page; the only place that draws.

Reports are made from data that is already stored, and can be made again at any time: nothing here judges, and
nothing that fails here changes a verdict.
"""

from reports.compare import write as compare
from reports.matrix import write as matrix
from reports.run import render
from reports.soak import write as soak
from reports.store import index

__all__ = ["compare", "index", "matrix", "render", "soak"]
