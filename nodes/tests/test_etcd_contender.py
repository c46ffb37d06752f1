"""A contender in etcd's election, against a service of a few lines and a clock that is set by hand."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from splitbrain.nodes.protocol import Json
from splitbrain.nodes.systems.etcd_election.contender import (
    MANNERS,
    TTL_S,
    CandidateKey,
    EtcdContender,
    LeaseGone,
    SafeSession,
    Session,
    StockSession,
    is_first,
    keys_in,
    no_key_before,
    still_exists,
    text,
)

OWN = CandidateKey("e/1", "n1", 5)
ELDER = CandidateKey("e/2", "n2", 3)
YOUNGER = CandidateKey("e/3", "n3", 9)


class MonotonicClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("kind", "lasts"), [(StockSession, TTL_S), (SafeSession, TTL_S * 0.9)])
def test_a_lease_is_counted_from_the_answer_by_the_stock_client_and_from_the_sending_by_the_safe_one(
    kind: Callable[[int, float, MonotonicClock], Session], lasts: float
) -> None:
    clock = MonotonicClock()
    session = kind(7, 100.0, clock)
    clock.now = 101.0  # the renewal was sent at 100.5 and is answered now
    session.renewed(100.5)
    counted_from = 101.0 if kind is StockSession else 100.5
    clock.now = counted_from + lasts - 0.01
    session.look()
    assert session.alive()
    clock.now = counted_from + lasts + 0.01
    session.look()
    assert not session.alive()


def test_the_stock_client_holds_a_lease_that_has_run_out_until_it_looks_and_the_safe_one_does_not() -> None:
    clock = MonotonicClock()
    stock, safe = StockSession(7, 100.0, clock), SafeSession(7, 100.0, clock)
    clock.now = 100.0 + TTL_S + 0.9
    assert stock.alive() and not safe.alive()


@pytest.mark.parametrize("kind", [StockSession, SafeSession])
def test_a_lease_that_is_over_is_never_taken_up_again(kind: Callable[[int, float, MonotonicClock], Session]) -> None:
    clock = MonotonicClock()
    session = kind(7, 100.0, clock)
    clock.now = 100.0 + TTL_S + 2
    session.look()
    session.renewed(clock.now)
    assert not session.alive()
    fresh = kind(8, clock.now, clock)
    fresh.lost()
    fresh.renewed(clock.now)
    assert not fresh.alive()


def test_a_contender_has_won_when_no_key_is_older_and_the_safe_one_only_with_its_own_key_there() -> None:
    assert not no_key_before([ELDER, OWN], OWN) and not is_first([ELDER, OWN], OWN)
    assert no_key_before([OWN, YOUNGER], OWN) and is_first([OWN, YOUNGER], OWN)
    # Its lease ran out while it waited, and then the leader's key went: a phantom leader.
    assert no_key_before([YOUNGER], OWN) and no_key_before([], OWN)
    assert not is_first([YOUNGER], OWN) and not is_first([], OWN)
    assert not still_exists([replace(OWN, create_revision=8)], OWN), "the same name, put anew by another reign"


def test_keys_come_the_eldest_first_whatever_their_names() -> None:
    def kv(key: CandidateKey) -> dict[str, str]:
        return {"key": text(key.name), "value": text(key.owner), "create_revision": str(key.create_revision)}

    assert keys_in({"kvs": [kv(YOUNGER), kv(OWN), kv(ELDER)]}) == (ELDER, OWN, YOUNGER)
    assert keys_in({}) == ()


class Etcd:
    """etcd as far as one contender sees it; ``keys`` are the create revisions by name."""

    def __init__(self) -> None:
        self.keys: dict[str, int] = {}
        self.revision = 4
        self.left: int | None = TTL_S

    def ask(self, path: str, body: Json) -> Any:
        asked: Any = body
        match path:
            case "/v3/lease/grant":
                return {"ID": "171", "TTL": str(TTL_S)}
            case "/v3/lease/keepalive":
                if self.left is None:
                    raise LeaseGone("requested lease not found")
                return {"result": {"ID": "171", **({"TTL": str(self.left)} if self.left else {})}}
            case "/v3/kv/txn":
                (wanted,) = asked["compare"]
                name = base64.b64decode(wanted["key"]).decode()
                succeeded = self.keys.get(name, 0) == int(wanted["create_revision"])
                self.revision += 1
                if succeeded:
                    self.keys.setdefault(name, self.revision)
                return {"header": {"revision": str(self.revision)}, **({"succeeded": True} if succeeded else {})}
            case _:
                kvs = [
                    {"key": text(name), "value": text("n1"), "create_revision": str(at)}
                    for name, at in self.keys.items()
                ]
                return {"kvs": kvs}


def elected(manner: str) -> tuple[EtcdContender, Etcd, MonotonicClock]:
    """A contender that has just won; what would then go on in its thread stands still."""
    etcd, clock = Etcd(), MonotonicClock()
    contender = EtcdContender("n1", MANNERS[manner], lambda: etcd, clock)
    own = contender._stand(etcd)
    contender._wait(etcd, own)
    contender._led = True
    return contender, etcd, clock


@pytest.mark.parametrize("manner", MANNERS)
def test_a_leader_says_its_create_revision_and_confirms_by_a_write_under_its_own_key(manner: str) -> None:
    contender, etcd, _ = elected(manner)
    claim = {"id": "n1", "leading": True, "leader": "n1", "term": 5, "reign": "ab-5"}
    assert contender.status() == claim
    answer = contender.confirm(1.0)
    assert (answer.term, answer.reign, answer.error) == (5, "ab-5", None)
    etcd.keys.clear()
    assert contender.confirm(1.0).error == "its key is gone"


@pytest.mark.parametrize("left", [0, None])
@pytest.mark.parametrize("manner", MANNERS)
def test_a_leader_that_is_told_of_its_lease_s_end_leads_no_more(manner: str, left: int | None) -> None:
    contender, etcd, _ = elected(manner)
    contender.renew(etcd)
    assert contender.status()["leading"]
    etcd.left = left
    contender.renew(etcd)
    assert not contender.status()["leading"]
    assert contender.confirm(1.0).error == "it does not lead"


def test_only_the_safe_client_says_by_itself_that_it_leads_no_more_when_its_lease_has_run_out() -> None:
    for manner, still in (("stock", True), ("safe", False)):
        contender, _, clock = elected(manner)
        clock.now += TTL_S + 0.5
        assert contender.status()["leading"] is still


def test_a_waiter_whose_key_went_gives_up_if_it_looks_for_it() -> None:
    etcd, clock = Etcd(), MonotonicClock()
    contender = EtcdContender("n1", MANNERS["safe"], lambda: etcd, clock)
    own = contender._stand(etcd)
    etcd.keys = {"another": 1}
    with pytest.raises(LeaseGone):
        contender._wait(etcd, own)
