"""Find the claim of a node in its answers, as a description says. Pure: no I/O, and no trust in what was answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from splitbrain.nodes.clients import formats
from splitbrain.nodes.clients.answers import Answer, WrongAnswer, shown, text, whole
from splitbrain.nodes.clients.base import with_vote
from splitbrain.nodes.clients.expressions import Asked, Expression, at
from splitbrain.nodes.systems.probes import COUNTED, Exec, Format, Http, Probe, Way, filled, statuses_of, usual_statuses

UNAVAILABLE: Final[Mapping[type[Way], int]] = {Http: 503, Exec: 1}
"""The status of a node that does not lead, where leaders are found by theirs."""
VALUES: Final = ("leader", "leader_term", "term", "vote", "reign")


class Reader:
    """Finds the claims in answers; ``own`` are the placeholders of every node. Raises ExpressionError."""

    def __init__(self, probe: Probe, own: Mapping[str, Mapping[str, str]]) -> None:
        statuses = statuses_of(probe.way)
        self._format: Format = probe.format
        self._leading = Expression(probe.leading, statuses)
        given = {key: getattr(probe, key) for key in VALUES}
        self._values = {
            key: Expression(text, statuses)
            for key, text in given.items()
            if text is not None and (key, text) != ("reign", COUNTED)
        }
        self._reads_body = any(each.paths for each in (self._leading, *self._values.values()))
        self._answering = answering(probe.way, self._leading)
        self._also = probe.also
        self._of_also = {name: _below(name, (self._leading, *self._values.values())) for name in probe.also}
        self._own = own
        self._names = {each["address"]: name for name, each in own.items()} | {name: name for name in own}
        for word, node in probe.names.items():
            self._names |= {filled(word, each): filled(node, each) for each in own.values()}

    def claim(self, node: str, answer: Answer, also: Mapping[str, Answer]) -> Mapping[str, Any]:
        """The claim in the answers of a node. Raises WrongAnswer.

        Many systems go on to name the last leader while their term rises. So ``leader_term``, the term of the leader
        that a node follows, is null unless the description says where it is found.
        """
        if answer.status is not None and answer.status not in self._answering:
            raise WrongAnswer(answer.refusal)
        asked = Asked(value=self._value(answer, also), status=answer.status, own=self._own[node])
        leading = self._leading.holds(asked)
        found = {
            "leading": leading,
            "leader": node if leading else self._node_named("leader", asked),
            "term": whole(self._at("term", asked), self._text("term")),
            "reign": text(self._at("reign", asked), self._text("reign")),
        }
        if not leading and {"leader", "term"} <= self._values.keys():
            found["leader_term"] = whole(self._at("leader_term", asked), self._text("leader_term"))
        return with_vote(found, self._node_named("vote", asked))

    def agree(self, node: str, before: Mapping[str, Answer], after: Mapping[str, Answer]) -> bool:
        """True if what is read of the further answers did not change. Raises WrongAnswer."""
        said = [self._further(each) for each in (before, after)]
        places = [(name, keys) for name, paths in self._of_also.items() for keys in paths]
        return all(at(said[0][name], keys) == at(said[1][name], keys) for name, keys in places)

    def _value(self, answer: Answer, also: Mapping[str, Answer]) -> Any:
        if not self._reads_body:
            return None
        value = formats.read(self._format, answer.body, answer.kind)
        if not also:
            return value
        if not isinstance(value, dict):
            raise WrongAnswer(f"expected an object to put further answers into, got {shown(value)}")
        return {**value, **self._further(also)}

    def _further(self, answers: Mapping[str, Answer]) -> Mapping[str, Any]:
        """The values of the further answers, by name. Raises WrongAnswer."""
        values = {}
        for name, answer in answers.items():
            if not is_usual(answer, self._also[name].way):
                raise WrongAnswer(f"{name}: {answer.refusal}")
            values[name] = formats.read(self._also[name].format, answer.body, answer.kind)
        return values

    def _at(self, key: str, asked: Asked) -> Any:
        return self._values[key].value(asked) if key in self._values else None

    def _text(self, key: str) -> str:
        return self._values[key].text if key in self._values else key

    def _node_named(self, key: str, asked: Asked) -> str | None:
        return named(self._at(key, asked), self._names)


def is_usual(answer: Answer, way: Way) -> bool:
    """True for a status of success, and where there is none."""
    return answer.status is None or answer.status in usual_statuses(way)


def _below(name: str, expressions: Iterable[Expression]) -> Sequence[Sequence[str]]:
    """The paths that expressions read below that name, without it."""
    return [path.keys[1:] for each in expressions for path in each.paths if path.keys[:1] == (name,)]


def answering(way: Way, leading: Expression) -> frozenset[int]:
    """The statuses of answers; any other is a refusal."""
    tested = leading.statuses
    unavailable = {UNAVAILABLE[type(way)]} if tested else set()
    return usual_statuses(way) | tested | unavailable


def hint(probe: Probe, answer: Answer) -> str | None:
    """The advice of how to describe the system, where an answer is refused by its status; None if there is none."""
    status = answer.status
    if status is None or status in answering(probe.way, Expression(probe.leading, statuses_of(probe.way))):
        return None
    match probe.way, status:
        case Http(), 401 | 403:
            return "a user and a password are given by `basic`, a token by `headers`"
        case Http(), 404:
            return None
    success = 200 if isinstance(probe.way, Http) else 0
    by_status = f'leading = "status == {success}"'
    return f"if {answer.counts} {status} is an answer too, say so: `status = [{status}]`, or `{by_status}`"


def nowhere(probe: Probe, answers: Iterable[str | None]) -> str | None:
    """A path of ``leading`` at which no answer has a value; None if an answer cannot be read."""
    leading = Expression(probe.leading, statuses_of(probe.way))
    try:
        values = [formats.read(probe.format, (answer or "").encode()) for answer in answers]
    except WrongAnswer:
        return None
    paths = [path for path in leading.paths if not probe.also.keys() & {*path.keys[:1]}]
    return next((path.text for path in paths if all(at(value, path.keys) is None for value in values)), None)


def named(leader: Any, names: Mapping[str, str]) -> str | None:
    """The node that a name, an address, a URL or a word of the description names; None if it names none."""
    if type(leader) not in (str, int):
        return None
    words = [str(leader), *re.split(r"[/:@]+", str(leader))]
    return next((names[word] for word in words if word in names), None)
