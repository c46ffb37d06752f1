"""One operation on one register, as the search for an order of them sees it."""

from __future__ import annotations

from dataclasses import dataclass

Value = bytes
"""A register's value as JSON text with sorted keys, so that values of any JSON type can be compared and hashed."""

NULL: Value = b"null"  # what a register holds at first


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisterOperation:
    """One operation on one register.

    It can take effect if the value is ``requires`` (None: any value) and is not ``excludes`` (None: no such value), and
    then sets it to ``writes`` (None: unchanged). ``invoked`` and ``returns`` are the lines (from 0) of invocation and
    answer, ``start`` and ``end`` their times (ns); ``returns`` is None if its fate is unknown.
    """

    requires: Value | None
    excludes: Value | None
    writes: Value | None
    invoked: int
    returns: int | None
    start: int
    end: int
    description: str

    @property
    def changes(self) -> bool:
        """True if the operation can change the value."""
        return self.writes is not None and self.writes != self.requires

    def after(self, value: Value) -> Value | None:
        """The register's value afterwards; None if the operation cannot take effect at this value."""
        if (self.requires is not None and self.requires != value) or self.excludes == value:
            return None
        return value if self.writes is None else self.writes
