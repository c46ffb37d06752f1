"""Takes the lease over once it has expired by the renewal time in the record, instead of by its own observation.

client-go (``leaderelection.go``, comment of the package) goes by its own observation of a change, so that clocks may
differ by any amount. Caught by ``exclusivity`` with no fault at all, where clocks differ by more than the lease, as
the monotonic clocks of two machines always do.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.lease import LeaseOptions
from splitbrain.nodes.systems.lease import LEASE_SYSTEM

BUG = Broken(
    name="trusts-renewal-times",
    of=LEASE_SYSTEM,
    mistake="goes by the renewal time in the record, on another machine's clock",
    options=LeaseOptions(trusts_renewal_times=True),
    catches="exclusivity",
    trigger="none: the clocks of two machines differ",
    nodes=3,
)
