"""The two clocks of a host, monotonic and wall, each with its errors.

A clock is a straight line over true time: at true instant ``since`` it showed ``shown``, and it gains ``ppm``
millionths. A fault begins a new line. All integers, so that reading forth and back never disagrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MILLION: Final = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """Shows ``shown`` at the true instant ``since`` and runs at (1 + ppm / 10**6) times the true rate. In ns."""

    since: int = 0
    shown: int = 0
    ppm: int = 0

    def __post_init__(self) -> None:
        if self.ppm <= -MILLION:
            raise ValueError(f"expected a clock that runs forward, ppm above {-MILLION}, got {self.ppm}")

    def read(self, now: int) -> int:
        """The time that it shows at a true instant."""
        return self.shown + (now - self.since) * (MILLION + self.ppm) // MILLION

    def when(self, shows: int) -> int:
        """The first true instant at which it shows ``shows`` or more."""
        return self.since - (self.shown - shows) * MILLION // (MILLION + self.ppm)

    def changed(self, now: int, *, jump: int = 0, ppm: int | None = None) -> Clock:
        """The clock as it goes on from ``now``: ``jump`` ns ahead (or behind), at another rate if one is given."""
        return Clock(since=now, shown=self.read(now) + jump, ppm=self.ppm if ppm is None else ppm)
