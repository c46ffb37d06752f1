"""Regular expressions in linear time: what they find is what ``re`` finds, and no text makes them slow."""

from __future__ import annotations

import re
from random import Random

import pytest

from splitbrain.nodes.clients.patterns import Pattern, PatternError

PARTS = ("a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\d", "^", "$", r"\b")
REPEATS = ("*", "+", "?", "{1,2}", "{2}", "{1,}", "*?", "+?", "??")


def written(rng: Random, depth: int = 4) -> str:
    """A pattern of any shape."""
    match rng.randrange(5) if depth else 0:
        case 1:
            return written(rng, depth - 1) + written(rng, depth - 1)
        case 2:
            return f"({written(rng, depth - 1)}){rng.choice(REPEATS)}"
        case 3:
            return f"(?:{written(rng, depth - 1)}|{written(rng, depth - 1)})"
        case 4:
            return f"({written(rng, depth - 1)}|{written(rng, depth - 1)})"
        case _:
            return rng.choice(PARTS)


def test_a_pattern_finds_what_the_library_finds_and_its_groups() -> None:
    rng, read = Random(1), 0
    for _ in range(3_000):
        text = written(rng)
        try:
            pattern = Pattern(text)
        except PatternError:
            continue
        read += 1
        given = "".join(rng.choice("abc1 ") for _ in range(rng.randrange(8)))
        twin = re.search(text, given, re.ASCII)
        assert pattern.search(given) == (None if twin is None else (twin[0], *twin.groups())), (text, given)
    assert read > 2_000


@pytest.mark.parametrize("text", ["(a|aa)+$", "(?:a+)+b", "a*a*a*a*a*a*b", "(?:.*,){9}b"])
def test_a_search_enters_each_instruction_at_each_place_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, given, entered = Pattern(text), "a" * 300 + "x", set[tuple[int, int]]()

    class Entered(set[tuple[int, int]]):
        def add(self, state: tuple[int, int]) -> None:
            assert state not in entered, "once"
            entered.add(state)
            super().add(state)

    monkeypatch.setattr("splitbrain.nodes.clients.patterns.set", Entered, raising=False)
    pattern.search(given)
    assert len(entered) <= (len(pattern._code) + 1) * (len(given) + 1)


@pytest.mark.parametrize(
    ("text", "words", "at"),
    [
        ("a**", "expected something to repeat", 2),
        ("*a", "expected something to repeat", 0),
        ("(a*)*", "never empty", 0),
        ("(a", "expected ) for this (", 0),
        ("a)", "expected the end", 1),
        ("[a", "expected ] for this [", 0),
        ("[z-a]", "a range that ascends", 1),
        ("(?=a)", "another kind of group", 0),
        (r"(a)\1", "unknown escape", 4),
        (r"\q", "unknown escape", 1),
        ("a{3", "expected {m}", 1),
        ("a{3,2}", "expected {m}", 1),
        ("a{1000}", "a count from 0 to 100", 2),
        ("(((a{100}){100}){100}){100}", "at most 500 instructions", 2),
        ("(" * 30, "at most 20 groups", 20),
        ("a\\", "a character after", 2),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, words: str, at: int) -> None:
    with pytest.raises(PatternError, match=re.escape(words)) as refused:
        Pattern(text)
    assert refused.value.at == at


def test_a_text_without_what_every_match_has_is_not_searched() -> None:
    pattern = Pattern(r"level=\w+ .*became leader at term (\d+)")
    assert pattern.search("level=info msg=raft became leader at term 12") == (
        "level=info msg=raft became leader at term 12",
        "12",
    )
    assert pattern._needed == "became leader at term "
    assert Pattern("(?i)LEADER").search("the Leader") == ("Leader",)
