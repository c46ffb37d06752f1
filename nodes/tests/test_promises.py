"""Tables of promises: what they mean, and errors that name the system, the line and the row."""

from __future__ import annotations

import pytest

from splitbrain.names import FAULT_CLASSES, GUARANTEES, MARKS, NODE_FAULT_CLASSES
from splitbrain.nodes.systems.promises import PromiseTableError, promise_table

HEADER = "term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability"
ALL = {each: f"{each}  + + + + + + +" for each in NODE_FAULT_CLASSES}


def table(*, header: str = HEADER, **rows: str) -> str:
    """A table in which everything is guaranteed, but for some rows; keywords have underscores for hyphens."""
    changed = {name.replace("_", "-"): row for name, row in rows.items()}
    return "\n".join([header, *(ALL | changed).values()])


def test_a_row_says_in_marks_what_is_promised_of_each_guarantee() -> None:
    read = promise_table("it", table(crash="crash + ! ? - + + !"))
    assert list(read) == list(NODE_FAULT_CLASSES)
    assert read["crash"] == dict(zip(GUARANTEES, [MARKS[mark] for mark in "+!?-++!"], strict=True))
    assert set(read["pause"].values()) == {"guaranteed"}


def test_columns_may_stand_in_any_order() -> None:
    turned = " ".join(reversed(HEADER.split()))
    assert (
        promise_table("it", table(header=turned, crash="crash ! + + + + + +"))["crash"]["stability"] == "known-weakness"
    )


def test_comments_and_empty_lines_mean_nothing_and_rows_come_in_the_order_of_the_names() -> None:
    mixed = f"# + guaranteed\n\n{HEADER}  # the header\n" + "\n# a reason\n".join(
        f"{row}  # why" for row in ALL.values()
    )
    assert promise_table("it", mixed) == promise_table("it", table())
    last_first = "\n".join([HEADER, *reversed(ALL.values())])
    assert list(promise_table("it", last_first)) == list(NODE_FAULT_CLASSES)


def test_a_variant_replaces_and_adds_rows_of_its_base() -> None:
    base = promise_table("it", table())
    rows = f"{HEADER}\nserver-crash ? + + + + + +\npause + + ! + + + +"
    variant = promise_table("variant", rows, base)
    assert list(variant) == [each for each in FAULT_CLASSES if each in base or each == "server-crash"]
    assert variant["pause"]["exclusivity"] == "known-weakness"
    assert variant["server-crash"]["term-safety"] == "not-promised"
    assert variant["crash"] == base["crash"] and base["pause"]["exclusivity"] == "guaranteed"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it: expected a header of the columns term-safety election-quorum"),
        (table(header=HEADER.replace("election-quorum", "")), "line 1: expected a header"),
        (table(header=f"{HEADER} stability"), "line 1: expected a header"),
        (table(header=HEADER.replace("fencing", "exclusivity")), "line 1: expected a header"),
        (table(pause="paws + + + + + + +"), "line 3: expected a fault class, one of crash, pause, .*, got 'paws'"),
        (table(pause="crash + + + + + + +"), "line 3: expected one row for crash, got 'a second one'"),
        (table(pause="pause + + + + + +"), r"line 3, pause: expected 7 of the marks \+ ! \? -, got '\+( \+){5}'"),
        (table(pause="pause + + + + + + + +"), "line 3, pause: expected 7 of the marks"),
        (table(pause="pause + + x + + + +"), r"line 3, pause: expected 7 of the marks .*, got '\+ \+ x( \+){4}'"),
        (table(pause="", loss=""), "it: expected a row for pause, loss, got 'none'"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_by_system_line_and_row(text: str, says: str) -> None:
    with pytest.raises(PromiseTableError, match=f"^it.*{says.removeprefix('it')}"):
        promise_table("it", text)


def test_only_a_column_with_a_usual_promise_may_be_missing() -> None:
    six = table(
        header=HEADER.replace("election-quorum", ""), **{row: f"{row} + + + + + !" for row in ("crash", "loss")}
    )
    six = six.replace("+ + + + + + +", "+ + + + + +")
    read = promise_table("it", six, usual={"election-quorum": "undefined"})
    assert read["crash"]["election-quorum"] == read["pause"]["election-quorum"] == "undefined"
    assert (read["crash"]["stability"], read["pause"]["stability"]) == ("known-weakness", "guaranteed")
    with pytest.raises(PromiseTableError, match="expected a header of the columns"):
        promise_table("it", six, usual={"exclusivity": "undefined"})
