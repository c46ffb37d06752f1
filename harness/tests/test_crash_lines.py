"""Lines of logs that look like a crash, and those that do not."""

from __future__ import annotations

import pytest

from splitbrain.runtimes.docker.crash_lines import crashes, lines_of, quoted

AT = "2026-11-28T12:00:00.500000000Z"
LATER = "2026-11-28T12:00:02.250000001Z"
NS = 1795867200 * 10**9


def stamped(*lines: str, at: str = AT) -> list[bytes]:
    return [f"{at} {line}".encode() for line in lines]


@pytest.mark.parametrize(
    "line",
    [
        "panic: runtime error: index out of range [3] with length 3",
        "thread 'main' panicked at src/main.rs:4:5:",
        "2026-11-28 12:00:00 UTC [7] FATAL:  the database system is starting up",
        '{"level":"fatal","ts":"2026","msg":"failed to purge wal file"}',
        "node: log.c:88: append: Assertion `index > 0' failed.",
        "AssertionError",
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
        "Segmentation fault (core dumped)",
        "Fatal error: all threads asleep",
    ],
)
def test_a_line_of_a_crash_is_found_with_its_time(line: str) -> None:
    (crash,) = crashes(stamped("started", line, "went on"))
    assert (crash.at, crash.words) == (NS + 500_000_000, line)


@pytest.mark.parametrize(
    "line",
    [
        "became leader in term 7",
        "level=warn msg='not fatal, will retry'",
        "ERROR could not connect to n2: connection refused",
        "no panic, the assertion of leadership was refused",
        '{"level":"info","msg":"compacted"}',
        "",
    ],
)
def test_other_lines_are_left_alone(line: str) -> None:
    assert list(crashes(stamped(line))) == []


def test_of_a_traceback_the_exception_is_quoted_with_the_time_of_its_beginning() -> None:
    begin = stamped("Traceback (most recent call last):", '  File "x.py", line 3, in f', "    assert False, 'fatal: x'")
    lines = [*begin, *stamped("KeyError: 'lost'", "went on", at=LATER)]
    assert [(each.at, each.words) for each in crashes(lines)] == [(NS + 500_000_000, "KeyError: 'lost'")]


def test_a_traceback_that_the_log_cuts_off_counts() -> None:
    (crash,) = crashes(stamped("Traceback (most recent call last):", '  File "x.py", line 3, in f'))
    assert crash.words == "Traceback (most recent call last)"


def test_many_lines_are_counted_and_each_kind_is_quoted_once() -> None:
    lines = stamped("panic: a") + stamped("panic: a", "panic: b", "panic: c", "panic: d", at=LATER)
    count, quotes = quoted(crashes(lines))
    assert count == 5
    assert [(each.words, each.at - NS) for each in quotes] == [
        ("panic: a", 500_000_000),
        ("panic: b", 2_250_000_001),
        ("panic: c", 2_250_000_001),
    ]


def test_a_log_that_comes_in_pieces_has_the_same_lines() -> None:
    assert list(lines_of([b"one\ntw", b"o\nth", b"ree"])) == [b"one", b"two", b"three"]


def test_a_line_without_a_time_has_that_of_the_one_before() -> None:
    assert [each.at for each in crashes([*stamped("fine"), b"panic: x panic: y"])] == [NS + 500_000_000]
