"""A run as figures and one self-contained HTML page; the only place that draws.

Reports are made from data that is already stored, and can be made again at any time: nothing here judges, and
nothing that fails here changes a verdict.
"""

from splitbrain.reports.matrix import write as matrix
from splitbrain.reports.run import render
from splitbrain.reports.store import index

__all__ = ["index", "matrix", "render"]
