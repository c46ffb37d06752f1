"""The store and its contenders, event by event: who may change the record, and until when a leader leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from splitbrain.names import MS
from splitbrain.nodes.lease import (
    CONFIRM,
    CONFIRM_PATIENCE,
    DEADLINE_TIMER,
    GET,
    LEASE,
    LEASE_STRICT,
    LEASE_WALL,
    RESEND_TIMER,
    RETRY_TIMER,
    UPDATE,
    LeaseContender,
    LeaseOptions,
    LeaseStore,
)
from splitbrain.nodes.protocol import (
    Answer,
    ConfirmAsked,
    Effect,
    Event,
    Json,
    Led,
    Persist,
    Received,
    Send,
    Started,
    TimerFired,
)


def sent(effects: Sequence[Effect]) -> Mapping[str, Any]:
    """The one message among the effects."""
    (message,) = [effect.message for effect in effects if isinstance(effect, Send)]
    return dict(message)


class Talk:
    """A contender and its store, with no network between them: whoever wants an answer late hands it over late."""

    def __init__(self, options: LeaseOptions = LEASE, store: LeaseStore | None = None, name: str = "n1") -> None:
        self.store = store or LeaseStore("s1", [], options, Random(0), "s")
        self.node = LeaseContender(name, ["s1"], options, Random(1), f"boot-{name}")

    def tell(self, event: Event) -> list[Effect]:
        return self.node.handle(event)

    def asked(self, message: Json) -> Json:
        """What the store answers."""
        return sent(self.store.handle(Received(0, self.node.id, message)))

    def settle(self, at: int, effects: Sequence[Effect]) -> list[Effect]:
        """Carry every message there and back at once, until nothing is asked any more; all effects of it."""
        done = list(effects)
        for effect in effects:
            if isinstance(effect, Send):
                done += self.settle(at, self.tell(Received(at, "s1", self.asked(effect.message))))
        return done

    def at(self, at: int, timer: str) -> list[Effect]:
        return self.settle(at, self.tell(TimerFired(at, timer)))

    def start(self, at: int = 0) -> list[Effect]:
        return self.settle(at, self.tell(Started(at)))


def test_the_first_who_asks_leads_in_term_one() -> None:
    talk = Talk()
    assert Led(1, "boot-n1-1") in talk.start()
    status = talk.node.status(0)
    assert (status.leading, status.leader, status.term, status.reign) == (True, "n1", 1, "boot-n1-1")
    assert talk.store.status(0).leader == "n1" and not talk.store.status(0).leading


def test_the_store_makes_a_record_durable_before_anybody_hears_of_it_and_keeps_it_over_a_restart() -> None:
    talk = Talk()
    update = {"kind": UPDATE, "request": "a-1", "version": 0, "record": {"holder": "a"}}
    persist, answer = talk.store.handle(Received(0, "n1", update))
    assert isinstance(persist, Persist) and isinstance(answer, Send)
    again = LeaseStore("s1", [], LEASE, Random(0), "s2", persist.state)
    assert (again.version, again.record) == (1, {"holder": "a"})


def test_a_swap_that_names_another_version_changes_nothing() -> None:
    talk = Talk()
    record = {"holder": "a"}
    assert talk.asked({"kind": UPDATE, "request": "a-1", "version": 0, "record": record})["done"]
    assert not talk.asked({"kind": UPDATE, "request": "b-1", "version": 0, "record": {"holder": "b"}})["done"]
    assert (talk.store.version, talk.store.record) == (1, record)


def test_an_update_asked_for_twice_is_done_once_and_answered_twice() -> None:
    talk = Talk()
    update = {"kind": UPDATE, "request": "a-1", "version": 0, "record": {"holder": "a", "renewed": 7}}
    assert talk.asked(update) == talk.asked(update)
    assert talk.store.version == 1


@pytest.mark.parametrize("message", [None, 7, {}, {"kind": GET}, {"kind": "vote", "request": 1}, {"kind": UPDATE}])
def test_what_is_no_request_is_as_good_as_lost(message: Json) -> None:
    assert Talk().store.handle(Received(0, "n1", message)) == []
    talk = Talk()
    talk.tell(Started(0))
    assert talk.tell(Received(0, "s1", message)) == []


def test_a_request_that_is_not_answered_is_sent_again_and_an_answer_counts_once() -> None:
    talk = Talk()
    first = sent(talk.tell(Started(0)))
    assert sent(talk.tell(TimerFired(100 * MS, RESEND_TIMER))) == first
    answer = talk.asked(first)
    assert talk.tell(Received(101 * MS, "s1", answer))
    assert talk.tell(Received(102 * MS, "s1", answer)) == []


def test_another_takes_over_when_it_has_seen_no_change_for_the_lease_and_not_before() -> None:
    leader = Talk()
    leader.start()
    other = Talk(store=leader.store, name="n2")
    other.start(10 * MS)
    assert other.node.status(10 * MS)[1:4] == (False, "n1", 1)
    assert not any(isinstance(effect, Led) for effect in other.at(759 * MS, RETRY_TIMER))
    assert Led(2, "boot-n2-1") in other.at(760 * MS, RETRY_TIMER)


def test_a_renewal_that_is_seen_puts_the_takeover_off_whatever_the_holders_clock_says() -> None:
    leader = Talk()
    leader.start(at=10**15)
    other = Talk(store=leader.store, name="n2")
    other.start(0)
    leader.at(10**15 + 100 * MS, RETRY_TIMER)
    other.at(400 * MS, RETRY_TIMER)
    assert not any(isinstance(effect, Led) for effect in other.at(1_149 * MS, RETRY_TIMER))
    assert any(isinstance(effect, Led) for effect in other.at(1_150 * MS, RETRY_TIMER))


def test_by_the_wall_clock_a_lease_has_run_out_when_the_holders_time_says_so() -> None:
    leader = Talk(LEASE_WALL)
    leader.start(at=5_000 * MS)
    ahead = Talk(LEASE_WALL, store=leader.store, name="n2")
    assert any(isinstance(effect, Led) for effect in ahead.start(5_750 * MS))


def test_a_leader_cut_off_stops_a_period_and_a_deadline_after_its_last_answer() -> None:
    talk = Talk()
    talk.start()
    talk.tell(TimerFired(100 * MS, RETRY_TIMER))  # asks, and is never answered
    assert talk.node.status(599 * MS).leading
    talk.tell(TimerFired(600 * MS, DEADLINE_TIMER))
    assert not talk.node.status(600 * MS).leading


def test_the_deadline_runs_from_the_answer_and_not_from_the_swap_so_a_late_answer_makes_two_leaders() -> None:
    """The swap at 0 is answered at 400 ms, so the leader stops at 1,000 ms; others may lead from 750 ms on."""
    for options, leads in ((LEASE, True), (LEASE_STRICT, False)):
        talk = Talk(options)
        talk.start(at=-100 * MS)
        asked = sent(talk.tell(TimerFired(0, RETRY_TIMER)))
        answer = talk.asked(asked)
        talk.tell(Received(400 * MS, "s1", answer))
        talk.tell(TimerFired(500 * MS, RETRY_TIMER))
        other = Talk(options, store=talk.store, name="n2")
        other.start(1 * MS)
        assert any(isinstance(effect, Led) for effect in other.at(751 * MS, RETRY_TIMER))
        assert talk.node.status(900 * MS).leading is leads


def test_a_flag_says_that_a_leader_leads_until_it_wakes_but_a_strict_one_looks_at_the_clock() -> None:
    for options, leads in ((LEASE, True), (LEASE_STRICT, False)):
        talk = Talk(options)
        talk.start()
        assert talk.node.status(10_000 * MS).leading is leads


def test_a_leader_that_reads_anothers_name_leads_on_until_its_deadline() -> None:
    talk = Talk()
    talk.start()
    other = Talk(store=talk.store, name="n2")
    other.start()
    other.at(800 * MS, RETRY_TIMER)
    talk.at(850 * MS, RETRY_TIMER)  # wakes late, and is refused
    assert talk.node.status(850 * MS).leading
    talk.at(950 * MS, RETRY_TIMER)
    assert talk.node.status(950 * MS).leading
    talk.at(1_350 * MS, DEADLINE_TIMER)
    assert talk.node.status(1_350 * MS)[1:4] == (False, "n2", 2)


def test_a_lease_that_lapsed_and_was_renewed_is_another_reign_of_the_same_term() -> None:
    talk = Talk(LEASE_STRICT)
    talk.start()
    assert not talk.node.status(700 * MS).leading
    assert Led(1, "boot-n1-2") in talk.at(700 * MS, RETRY_TIMER)
    assert talk.node.status(700 * MS)[3:5] == (1, "boot-n1-2")


def test_a_renewal_whose_answer_came_after_the_lease_gives_no_leadership_at_use() -> None:
    talk = Talk(LEASE_STRICT)
    update = sent(talk.tell(Received(0, "s1", talk.asked(sent(talk.tell(Started(0)))))))
    talk.tell(Received(700 * MS, "s1", talk.asked(update)))
    assert not talk.node.status(700 * MS).leading


def test_a_contender_that_started_again_is_another_and_waits_for_itself() -> None:
    talk = Talk()
    talk.start()
    again = LeaseContender("n1", ["s1"], LEASE, Random(2), "boot-later")
    (asked,) = [e.message for e in again.handle(Started(50 * MS)) if isinstance(e, Send)]
    again.handle(Received(50 * MS, "s1", talk.asked(asked)))
    assert again.status(50 * MS)[1:4] == (False, "n1", 1)


def test_a_confirmation_reads_the_record_and_stretches_no_lease() -> None:
    talk = Talk()
    talk.start()
    version = talk.store.version
    effects = talk.settle(20 * MS, talk.tell(ConfirmAsked(20 * MS, 5)))
    assert next(e for e in effects if isinstance(e, Send)).kind == CONFIRM
    assert Answer(5, 1, "boot-n1-1", None) in effects
    assert talk.store.version == version


def test_nothing_is_confirmed_when_another_holds_the_lease_or_when_no_server_answers_or_no_node_leads() -> None:
    talk = Talk()
    assert talk.tell(ConfirmAsked(0, 1)) == [Answer(1, None, None, "not leading")]
    talk.start()
    talk.tell(ConfirmAsked(10 * MS, 2))
    late = talk.tell(ConfirmAsked(11 * MS + CONFIRM_PATIENCE, 3))
    assert late[0] == Answer(2, 1, None, "no answer of the store")
    Talk(store=talk.store, name="n2").start()
    talk.store.record = {**talk.store.record, "holder": "n2/boot"}
    (answer,) = talk.settle(20 * MS, [e for e in late if isinstance(e, Send)])[1:]
    assert answer == Answer(3, 1, None, "the lease is another's, or ran out")
    talk.tell(ConfirmAsked(30 * MS, 4))
    assert Answer(4, 1, None, "lost leadership") in talk.tell(TimerFired(600 * MS, DEADLINE_TIMER))
    assert talk.store.handle(ConfirmAsked(0, 9)) == [Answer(9, None, None, "a store does not lead")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry_period": 0},
        {"retry_period": 300 * MS},
        {"renew_deadline": 750 * MS},
        {"jitter_percent": -1},
        {"drift_percent": -1},
    ],
)
def test_options_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        LeaseOptions(**wrong)  # type: ignore[arg-type]
