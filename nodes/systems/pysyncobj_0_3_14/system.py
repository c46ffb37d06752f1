"""PySyncObj 0.3.14, whose journal keeps neither term nor vote; in everything else it is ``pysyncobj``.

``term-safety``, ``fencing``: the journal holds the log and the commit index only (PySyncObj issues 84, 201 and 202), so
a cluster that restarts begins again at term 1 and may give it to another node (``crash``, ``restart-storm``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from splitbrain.nodes.systems.base import Pin
from splitbrain.nodes.systems.promises import promise_table
from splitbrain.nodes.systems.pysyncobj.system import PROMISES, PYSYNCOBJ_SYSTEM

SCHEDULES: Final = Path(__file__).parent / "schedules"

FORGETFUL_PROMISES: Final = promise_table(
    "pysyncobj-0.3.14",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                   term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash          !            +                ?            !        +             +            ?
    restart-storm  !            +                ?            !        ?             +            ?
    """,
    base=PROMISES,
)

PYSYNCOBJ_0_3_14_SYSTEM: Final = replace(
    PYSYNCOBJ_SYSTEM,
    name="pysyncobj-0.3.14",
    help="PySyncObj 0.3.14, which forgets its term and vote",
    promises=FORGETFUL_PROMISES,
    software=replace(PYSYNCOBJ_SYSTEM.software, image="systems/pysyncobj_0_3_14/image"),
    pins={
        "docker": {
            **PYSYNCOBJ_SYSTEM.pins["docker"],
            "crash": Pin(schedule=SCHEDULES / "all-restarted-three-times.json", seed=1),
            "restart-storm": Pin(schedule=SCHEDULES / "all-storm.json", seed=1),
        }
    },
)
