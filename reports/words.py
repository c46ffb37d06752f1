"""The words of a report: verdicts, promises and properties as sentences for a reader who does not know splitbrain.

Everything here takes the plain JSON forms that a run stores and tolerates what is missing from them: a report of a
damaged run is worth more than none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.checkers.judge import PROPERTIES
from splitbrain.checkers.verdict import Observed
from splitbrain.checkers.words import listed
from splitbrain.names import guarantee_of, promise_of

SYMBOLS = {"valid": "✓", "unknown": "?", "invalid": "✗", "unreadable": "–"}

MEANINGS = {tested.name: tested.help for tested in PROPERTIES}

NO_MEANING = "No description is at hand for this property."


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def verdict_of(verdicts: Mapping[str, Any]) -> str:
    """The verdict of a run. Anything but the three known words is "unknown", which is never a pass."""
    word = verdicts.get("verdict")
    return word if isinstance(word, str) and word in ("valid", "unknown", "invalid") else "unknown"


def nemesis_of(experiment: Mapping[str, Any]) -> str:
    given = experiment.get("nemesis")
    return ", ".join(str(name) for name in sequence(given)) if not isinstance(given, str) else given


def title(experiment: Mapping[str, Any]) -> str:
    system, nemesis = str(experiment.get("system") or "a run"), nemesis_of(experiment)
    return f"{system} under {nemesis}" if nemesis and nemesis != "none" else system


def headline(verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> str:
    """What happened in a run and what it means, as one sentence."""
    told = str(verdicts.get("words") or "").rstrip(".") or _by_names(verdicts, experiment)
    return f"{told[:1].upper()}{told[1:]}."


def _by_names(verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> str:
    """The headline of verdicts that have none, as before version 0.2."""
    deciding = [name for name, row in rows(verdicts) if row.get("verdict") == verdict_of(verdicts)]
    match verdict_of(verdicts):
        case "invalid":
            return f"violated: {listed(deciding or ['a guarantee'])}"
        case "valid":
            system = str(experiment.get("system") or "the system")
            return f"every guarantee that {system} gives under these faults held"
        case _:
            reasons = [str(row["words"]) for name, row in rows(verdicts) if name in deciding and row.get("words")]
            return "; ".join(reasons).rstrip(".") or f"undecided: {listed(deciding or ['the verdict'])}"


def rows(verdicts: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Each property with its entry."""
    return [(str(name), mapping(row)) for name, row in mapping(verdicts.get("properties")).items()]


def not_reproduced(verdicts: Mapping[str, Any]) -> list[str]:
    """The guarantees that are known weaknesses and of which the run shows no violation."""
    return [
        guarantee
        for _, row in rows(verdicts)
        for guarantee, judged in mapping(row.get("guarantees")).items()
        if mapping(judged).get("promised") == "known-weakness"
        and mapping(judged).get("observed") in (Observed.HELD, Observed.NOT_SHOWN)
    ]


def observed(row: Mapping[str, Any]) -> str:
    """What was observed of a property; verdicts before version 0.2 do not say it apart from the outcome."""
    if "observed" in row:
        return str(row["observed"])
    if row.get("verdict") == Observed.NOT_JUDGED:
        return Observed.NOT_JUDGED
    if row.get("findings"):
        return Observed.VIOLATED
    return Observed.HELD if row.get("verdict") == "valid" else Observed.UNDECIDED


def remarks(verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> list[str]:
    """Notes beside the verdict: what happened unasked, and remarks of the run itself."""
    return [str(note) for note in (*sequence(verdicts.get("incidents")), *sequence(experiment.get("notes")))]


def promise(row: Mapping[str, Any]) -> str:
    """The promise for a property, in words, by guarantee where it tests several that differ."""
    promises = promised(row)
    said = [each.replace("-", " ") for each in promises.values()]
    if len(set(said)) <= 1:
        return said[0] if said else "needed for a pass"
    return "; ".join(f"{guarantee}: {each}" for guarantee, each in zip(promises, said, strict=True))


def promised(row: Mapping[str, Any]) -> dict[str, str]:
    """The promise for each guarantee that the property tests, by its name; one that stands alone has none.

    Verdicts before version 0.2 have codes and marks, which are read as the names that they stood for.
    """
    given = row.get("promised", row.get("promise"))
    if isinstance(given, str):
        return {"": promise_of(given)}
    return {guarantee_of(str(each)): promise_of(str(promise)) for each, promise in mapping(given).items()}


def seconds(value: object, digits: int = 2) -> str:
    """A number of seconds, or a dash."""
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) and not isinstance(value, bool) else "–"


def plain(value: object) -> str:
    """Any JSON value on one short line."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case Mapping() | list() | tuple() if not value:
            return "none"
        case Mapping():
            text = ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
        case list() | tuple():
            text = ", ".join(plain(item) for item in value)
        case _:
            text = str(value)
    return text if len(text) <= 400 else text[:399] + "…"
