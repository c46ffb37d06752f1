"""Failed probes: the reasons why observations and confirmations failed, counted by node.

A node that is down or cut off answers late or not at all, which faults explain. An answer that came and could not be
used is seldom explained by a fault: it shows a wrong description, or a node that answers wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from splitbrain.checkers.history import History

SILENCE: Final = ("no answer", "no connection", "connection refused", "the connection", "incomplete answer")
"""How the reasons begin that a fault may explain."""
MOST_LISTED: Final = 12
MOST_SAID: Final = 3


def failed(history: History, f: str) -> Mapping[str, int]:
    """The failures of ``f`` counted by ``node: reason``, the most frequent first; rare ones of many taken together."""
    counts = Counter({f"{node}: {reason}": n for (probe, node, reason), n in history.failures.items() if probe == f})
    listed = dict(counts.most_common(MOST_LISTED - 1 if len(counts) > MOST_LISTED else None))
    rest = counts.total() - sum(listed.values())
    return listed | ({"others": rest} if rest else {})


def reasons(history: History, nodes: Collection[str]) -> str:
    """The reasons why observations of these nodes failed, with counts; empty if none did."""
    failures = history.failures.items()
    return _words(Counter({f"{node}: {why}": n for (f, node, why), n in failures if f == "observe" and node in nodes}))


def unusable(history: History, apart_from: Collection[str] = ()) -> str:
    """The answers that came and could not be used, by nodes apart from some, with counts; empty if there were none."""
    failures = history.failures.items()
    came = [each for each in failures if each[0][0] == "observe" and not each[0][2].startswith(SILENCE)]
    return _words(Counter({f"{node}: {reason}": n for (_, node, reason), n in came if node not in apart_from}))


def _words(counts: Counter[str]) -> str:
    said = [f"{reason}, {f'{n:,} times' if n > 1 else 'once'}" for reason, n in counts.most_common(MOST_SAID)]
    more = [f"{len(counts) - MOST_SAID:,} more"] if len(counts) > MOST_SAID else []
    return "; ".join(said + more)
