"""Formats of answers: a body becomes the value in which expressions find their facts.

=============== ======================================================================================================
``json``        the JSON itself
``text``        ``{"text": ...}``
``lines``       ``{"text": ..., "lines": [...]}`` and a key for each line ``key: value``, ``key=value`` or ``key value``
``prometheus``  the text format of metrics: a number for each sample, by its name and by its name with labels as written
``status``      nothing: only the status of the answer is used
=============== ======================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from splitbrain.nodes.clients.answers import WrongAnswer, excerpt, json_in

SEPARATOR: Final = re.compile(r"[:=\t]")
SAMPLE: Final = re.compile(r"([a-zA-Z_:][\w:]*)(\{.*\})?[ \t]+([-+\w.]{1,40})(?:[ \t]+-?[0-9]{1,20})?", re.ASCII)
EXACT: Final = 2**53  # floats are exact below


def read(format: str, body: bytes, kind: str = "") -> Any:
    """The value of a body, of the content type ``kind``, in one of ``FORMATS``. Raises WrongAnswer."""
    return json_in(body, kind) if format == "json" else FORMATS[format](body)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as wrong:
        raise WrongAnswer(f"expected text in UTF-8, got {excerpt(body)}") from wrong


def _as_text(body: bytes) -> Mapping[str, Any]:
    return {"text": _text(body)}


def _as_lines(body: bytes) -> Mapping[str, Any]:
    text = _text(body)
    lines = text.splitlines()
    return {**dict(_pairs(lines)), "text": text, "lines": lines}


def _pairs(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Key and value of the lines that have both; of several with one key the first counts, so it comes last."""
    for line in reversed(lines):
        separator = SEPARATOR.search(line.strip())
        words = line.strip().split(separator[0] if separator else None, 1)
        if len(words) == 2:
            yield words[0].strip(), words[1].strip()


def _as_prometheus(body: bytes) -> Mapping[str, Any]:
    """The samples. A name without labels stands for its only sample, and is left out where there are several."""
    samples: dict[str, float | int] = {}
    named: dict[str, list[float | int]] = {}
    for line in _text(body).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        sample = SAMPLE.fullmatch(line.strip())
        if sample is None:
            raise WrongAnswer(f"expected a metric such as 'raft_term 7', got {excerpt(line.encode())}")
        value = _number(sample[3])
        named.setdefault(sample[1], []).append(value)
        samples[sample[1] + (sample[2] or "")] = value
    return {name: values[0] for name, values in named.items() if len(values) == 1} | samples


def _number(digits: str) -> float | int:
    """A sample's value: an integer where it is one, since many programs print all numbers as floats."""
    try:
        value = float(digits)
    except ValueError:
        raise WrongAnswer(f"expected a number in a metric, got {digits!r}") from None
    return int(value) if abs(value) < EXACT and value == int(value) else value


FORMATS: Final[Mapping[str, Callable[[bytes], Any]]] = MappingProxyType(
    {"json": json_in, "text": _as_text, "lines": _as_lines, "prometheus": _as_prometheus, "status": lambda body: None}
)
"""Readers of bodies, by the name of the format."""
