"""Foreign formats: histories as Jepsen writes them, and JSON lines without index or time, as entries of a History.

The format is told by the text, not by the name of the file. Read are

- EDN (``history.edn``): a map for each operation, with ``:process :type :f :value``, and where they are known ``:time
  :error :node``; one a line, or all in one vector;
- Jepsen's text log (``history.txt``): process, type, f and value separated by tabs, then the error; a log prefix before
  the process is skipped;
- JSON lines of which the first lacks ``index`` or ``time``.

The order of the operations is that of the file. An operation without a time is given its number as one. What
Jepsen's nemesis did is kept as notes: it says nothing of nodes and links that checkers could use. Where reads are
invoked with ``[key nil]``, the history is one of many objects (``jepsen.independent``): every value is a pair of its
key and its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from splitbrain.checkers.edn import EdnError, read_forms

Entry = dict[str, Any]
JEPSEN_NEMESIS = "jepsen-nemesis"
_WORDS = ("process", "type", "f", "node")  # keywords in EDN, without their colon here
_TYPES = (":invoke", ":ok", ":fail", ":info")


class FormatError(ValueError):
    """Text that is not of its format: the line (from 1), what was expected and what was found."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def foreign(text: bytes) -> bool:
    """True if a text begins like a history in a foreign format."""
    first = text.lstrip().split(b"\n", 1)[0]
    if re.match(rb'\{\s*["}]', first):
        return _is_plain(first)
    return first[:1] in (b"[", b"(", b"{", b"#", b";") or _is_logged(first.decode("utf-8", "replace").split("\t"))


def foreign_entries(text: bytes) -> list[Entry]:
    """The entries of a history in a foreign format. Raises FormatError."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as wrong:
        line = text.count(b"\n", 0, wrong.start) + 1
        raise FormatError(line, f"expected UTF-8, got byte {text[wrong.start]:#x}") from wrong
    start = decoded.lstrip()
    if re.match(r'\{\s*["}]', start):
        read = _json_lines(decoded)
    elif start[:1] in tuple("[({#;"):
        read = _edn(decoded)
    else:
        read = _text_log(decoded)
    return completed(read)


def is_complete(lines: Iterable[Mapping[str, Any]]) -> bool:
    """True if every line has an ``index`` and a ``time``."""
    return all("index" in line and "time" in line for line in lines)


def completed(lines: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The lines with ``index`` and ``time``, and with the key of each object beside its value."""
    entries: list[Entry] = []
    time = 0
    for index, line in enumerate(lines):
        given = line.get("time")
        time = max(time, given if isinstance(given, int) and given >= 0 else index)
        entry = {**line, "index": index, "time": time}
        if entry.get("process") == "nemesis" and not _is_fault(entry.get("value")):
            entry.update(process=JEPSEN_NEMESIS, type="info")
        entries.append(entry)
    if any(_asks_key(entry) for entry in entries):
        for entry in entries:
            entry["value"] = _keyed(entry)
    return entries


def _is_plain(line: bytes) -> bool:
    try:
        entry = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and {"process", "type", "f"} <= entry.keys() and not is_complete([entry])


def _json_lines(text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except (ValueError, RecursionError) as wrong:
            raise FormatError(number, f"expected one JSON object: {wrong}, in {line[:200]}") from wrong


def _edn(text: str) -> Iterator[Entry]:
    try:
        for line, form in read_forms(text):
            if not isinstance(form, dict):
                raise FormatError(line, f"expected a map with :process, :type, :f and :value, got {str(form)[:200]}")
            yield {key: _name(value) if key in _WORDS else value for key, value in form.items()}
    except EdnError as wrong:
        raise FormatError(wrong.line, str(wrong)) from wrong


def _is_logged(fields: list[str]) -> bool:
    return len(fields) > 2 and fields[1].strip() in _TYPES and bool(fields[0].strip())


def _text_log(text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if not _is_logged(fields):
            raise FormatError(number, f"expected process, type, f and value separated by tabs, got {line[:200]!r}")
        process = fields[0].split()[-1]
        yield {
            "process": int(process) if re.fullmatch(r"[0-9]{1,18}", process) else _name(process),
            "type": _name(fields[1].strip()),
            "f": _name(fields[2].strip()),
            "value": _value(fields[3], number) if len(fields) > 3 else None,
            "error": "\t".join(fields[4:]).strip() or None,
        }


def _value(text: str, line: int) -> Any:
    """The value of a logged operation; text that is not one EDN form stays text."""
    try:
        values = list(read_forms(f"[[{text}]]"))
    except EdnError as wrong:
        raise FormatError(line, str(wrong)) from wrong
    _, forms = values[0]
    return forms[0] if len(values) == len(forms) == 1 else text


def _name(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and value.startswith(":") else value


def _is_fault(value: object) -> bool:
    return isinstance(value, Mapping) and "id" in value and "phase" in value


def _asks_key(entry: Entry) -> bool:
    value = entry.get("value")
    invoked = entry.get("f") == "read" and entry.get("type") == "invoke"
    return invoked and isinstance(value, list) and len(value) == 2 and value[1] is None


def _keyed(entry: Entry) -> Any:
    """The value of an operation on one of many objects."""
    value, f = entry.get("value"), entry.get("f")
    if not isinstance(value, list) or len(value) != 2 or f not in ("read", "write", "cas", "add", "acquire", "release"):
        return value
    key, part = value
    if not isinstance(key, str | int):
        raise FormatError(entry["index"] + 1, f"expected a number, a string or a keyword as key, got {key!r}")
    if f == "cas" and isinstance(part, list) and len(part) == 2:
        return {"key": key, "from": part[0], "to": part[1]}
    return {"key": key, "value": part}
