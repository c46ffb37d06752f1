from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.names import MS
from splitbrain.reports import frames, page, timeline
from splitbrain.reports.tests.literal import Lines, confirm, fault, history, observe, until


@given(
    st.recursive(
        st.text() | st.none() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_embedded_json_means_the_same_and_cannot_end_its_script(value: object) -> None:
    text = str(timeline.embedded(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_plain_json_would_end_its_script() -> None:
    hostile = "</script><script>alert(1)</script>"
    assert "</script>" in json.dumps(hostile)
    assert "</script>" not in timeline.embedded(hostile)


def test_shares_are_one_digit_each() -> None:
    assert timeline.digits([0.0, 0.5, 1.0, float("nan")]) == "049-"


def test_the_drawing_holds_the_run_in_whole_microseconds() -> None:
    run = history(
        observe("n1", 0, 2 * MS, leading=True, term=7),
        observe("n1", 10 * MS, 12 * MS, leading=True, term=7),
        confirm("n1", 3 * MS, 5 * MS),
        confirm("n1", 6 * MS, 8 * MS),
        fault("kill", 20 * MS, 21 * MS, id=1, nodes=["n1"]),
        until(30 * MS),
    )
    found = [{"start": 2 * MS, "end": 4 * MS, "words": "both led", "evidence": [3]}]
    gathered = frames.gather(run, {"properties": {"exclusivity": {"findings": found}}}, {})
    drawn = json.loads(str(timeline.data(gathered)))
    assert drawn["end"] == 30_000
    assert drawn["reigns"] == [[0, 0, 2_000, 10_000, 21_000, "term 7", 1, 2, 1, 1]]
    assert drawn["confirms"] == [[5_000, 3_000]]
    assert drawn["node_faults"] == [[0, 20_000, 30_000, "down", 0]]
    assert drawn["faults"][0]["words"] == "kill #1: n1\nbegan at 0.020 s, in effect 1.0 ms later, never undone"
    assert drawn["overlaps"][0]["words"] == "both led\n0.002 s to 0.004 s\nhistory lines 3"


def test_what_nobody_asked_for_is_drawn_with_its_reason() -> None:
    def watched(f: str, time: int, **facts: object) -> Lines:
        return [(time, {"process": "watcher", "type": "info", "f": f, "node": "n1", "value": facts})]

    run = history(
        observe("n1", 0, 2 * MS, leading=True, term=7),
        watched("throttled", 8 * MS, at=5 * MS, by="outside", throttled_ms=1.0),
        watched("throttled", 9 * MS, at=7 * MS, by="outside", throttled_ms=1.0),
        watched("ended", 20 * MS, at=19 * MS, status=3),
        until(30 * MS),
    )
    drawn = json.loads(str(timeline.data(frames.gather(run, {}, {}))))
    assert drawn["incidents"] == [
        [0, 5_000, 9_000, "other", "n1 is rationed from outside"],
        [0, 19_000, 30_000, "down", "n1 ended by itself (exit status 3)"],
    ]


def test_what_is_left_out_is_said() -> None:
    run = history(*(observe("n1", at, at + 1, leading=True, term=at) for at in range(0, 40_000, 10)))
    gathered = frames.gather(run, {}, {})
    assert "Only the 3,000 longest reigns are drawn; 1,000 are omitted." in timeline.notes(gathered, run)
    small = history(observe("n1", 0, 1, leading=True, term=1))
    assert timeline.notes(frames.gather(small, {}, {}), small) == []


def test_a_machine_that_was_never_observed_is_a_server_and_no_node() -> None:
    run = history(
        observe("n1", 0, 2 * MS, leading=True, leader="n1", term=7),
        observe("n2", 0, 2 * MS, leader="n3", term=7),
        fault("kill", 20 * MS, 21 * MS, id=1, nodes=["s1", "n3"]),
        until(30 * MS),
    )
    drawn = json.loads(str(timeline.data(frames.gather(run, {}, {}))))
    assert drawn["nodes"] == ["n1", "n2", "n3", "s1"]
    assert drawn["servers"] == [False, False, False, True]
    assert [3, 20_000, 30_000, "down", 0] in drawn["node_faults"]
    assert page.facts(run, frames.gather(run, {}, {}), {})[:2] == ["3 nodes", "1 server"]
    assert "3 servers" in page.facts(run, frames.gather(run, {}, {}), {"server_names": ["s1", "s2", "s3"]})
