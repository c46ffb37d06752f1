"""The words of a report: verdicts, promises and properties as sentences for a reader who knows none of ours.

Everything here takes the plain JSON forms that a run stores and tolerates what is missing from them: a report of a
damaged run is worth more than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from splitbrain.checkers.words import listed

SYMBOLS = {"valid": "✓", "unknown": "?", "invalid": "✗", "unreadable": "–"}

PROMISES = {
    "+": "promised",
    "!": "known weakness",
    "?": "not promised, only reported",
    "-": "not defined for this system",
}

GUARANTEES = {
    "T": "term safety",
    "X": "exclusivity",
    "F": "fenced exclusivity",
    "A": "during faults",
    "L": "after healing",
    "S": "stability",
}

MEANINGS = {
    "term-safety": "No two nodes ever claim to lead in the same term; no clock is needed to tell.",
    "agreement": "No two nodes ever name different leaders for the same term.",
    "term-monotonicity": "The term that a node tells never goes back, unless its disk was wiped.",
    "vote-safety": "No node ever votes for two candidates in one term, by the votes that nodes show.",
    "exclusivity": "No two nodes lead at the same instant, whatever their terms; only an overlap that every "
    "execution fitting the observations must contain counts as proven.",
    "fencing": "A shared resource never accepts a write of a stale leader after one with a newer token, and keeps what "
    "it acknowledged.",
    "linearizability": "Every operation on a register seems to happen at one instant between its invocation and its "
    "answer.",
    "mutual-exclusion": "No two clients ever hold one lock at the same instant; a hold counts from getting the lock to "
    "giving it back, if it was held until then.",
    "lost-updates": "What was added to a shared set under the lock, and acknowledged, is still there at the end.",
    "stall": "While a healthy, connected majority exists, leadership is confirmed again within the bound.",
    "stability": "A leader that is up, on time and connected to a healthy majority keeps its leadership.",
    "coverage": "The run exercised something: faults took effect and were verified, a leader was touched, and the "
    "machine kept time. Without that no pass is given.",
}

NO_MEANING = "No description is at hand for this property."


def mapping(value: object) -> Mapping[str, Any]:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    """The value when it is a JSON array, else an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def verdict_of(verdicts: Mapping[str, Any]) -> str:
    """The run's verdict; anything but the three known words is "unknown", never a pass."""
    word = verdicts.get("verdict")
    return word if isinstance(word, str) and word in ("valid", "unknown", "invalid") else "unknown"


def nemesis_of(experiment: Mapping[str, Any]) -> str:
    given = experiment.get("nemesis")
    return ", ".join(str(name) for name in sequence(given)) if not isinstance(given, str) else given


def title(experiment: Mapping[str, Any]) -> str:
    system, nemesis = str(experiment.get("system") or "a run"), nemesis_of(experiment)
    return f"{system} under {nemesis}" if nemesis and nemesis != "none" else system


def headline(verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> str:
    """The run's verdict as one sentence, led by what decided it."""
    system = str(experiment.get("system") or "the system")
    properties = mapping(verdicts.get("properties"))
    deciding = [
        (name, mapping(row)) for name, row in properties.items() if mapping(row).get("verdict") == verdict_of(verdicts)
    ]
    match verdict_of(verdicts):
        case "invalid":
            broken = _all(name for name, _ in deciding) or "a guarantee"
            return f"{system} broke a guarantee that it gives: {broken}.{_first_words(deciding)}"
        case "valid":
            held = sum("+" in promised(mapping(row)).values() for row in properties.values())
            counted = f" ({held} judged as promised)" if held else ""
            return f"Every guarantee that {system} gives under these faults held{counted}."
        case _:
            unsure = _all(name for name, _ in deciding)
            about = f" about {unsure}" if unsure else ""
            return f"This run cannot tell{about}, so it is not a pass.{_first_words(deciding)}"


def _all(names: Iterable[str]) -> str:
    known = list(names)
    return listed(known) if known else ""


def _first_words(deciding: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    words = next((str(row["words"]) for _, row in deciding if row.get("words")), "")
    return f" {words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}" if words else ""


def weaknesses(verdicts: Mapping[str, Any]) -> list[str]:
    """One line for the known weaknesses that were shown, one for those that were not."""
    told = {name: mapping(row).get("weakness") for name, row in mapping(verdicts.get("properties")).items()}
    shown = _all(name for name, weakness in told.items() if weakness == "shown")
    hidden = _all(name for name, weakness in told.items() if weakness == "not shown")
    lines = []
    if shown:
        lines.append(f"Known weakness shown: {shown}. It was expected and does not fail the run.")
    if hidden:
        lines.append(f"Known weakness not shown: {hidden}. This run did not bring it out.")
    return lines


def promise(row: Mapping[str, Any]) -> str:
    """What was promised of a property, in words, by guarantee where it tests several that differ."""
    marks = promised(row)
    said = [PROMISES.get(mark, mark) for mark in marks.values()]
    if len(set(said)) <= 1:
        return said[0] if said else "needed for a pass"
    return "; ".join(f"{GUARANTEES.get(letter, letter)}: {PROMISES.get(mark, mark)}" for letter, mark in marks.items())


def promised(row: Mapping[str, Any]) -> dict[str, str]:
    """The mark of each guarantee that the property tests, by its letter; a bare mark has no letter."""
    given = row.get("promise")
    if isinstance(given, str):
        return {"": given}
    return {str(letter): str(mark) for letter, mark in mapping(given).items()}


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
