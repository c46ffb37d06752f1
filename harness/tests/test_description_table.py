"""The reader of descriptions: where a key stands, what is refused and in which words, and the page of all keys."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.errors import UsageError
from splitbrain.user_systems.description import described, reference
from splitbrain.user_systems.description.lines import line_of
from splitbrain.user_systems.description.system import ROOT
from splitbrain.user_systems.description.table import Section

PAGE = Path(__file__).parents[2] / "docs/description-keys.md"
HARD = '''\
# a comment = 1
image = "x" # y = 2

  [ probe ]
text = """
[no.header]
no_key = 1 """""
lists = [
  "a]", # ]
  { inner = "#" },
]
dotted."quoted \\u0065.key" . last = \'\'\'
it's = 1\'\'\'
[servers."a b".\'c"d\']
port = 1
env = {A = 1, B = 2}
[[many]]
here = 1979-05-27T07:32:00Z
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("image", 2),
        ("probe", 4),
        ("probe text", 5),
        ("probe no_key", 4),
        ("probe lists", 8),
        ("probe lists inner", 8),
        ("probe dotted", 12),
        ("probe dotted|quoted e.key|last", 12),
        ('servers|a b|c"d|port', 15),
        ('servers|a b|c"d|env|B', 16),
        ("servers|a b", 14),
        ("many here", 18),
        ("nowhere", None),
    ],
)
def test_the_line_of_a_key_is_where_it_stands_or_that_of_the_table_around_it(key: str, line: int | None) -> None:
    assert tomllib.loads(HARD)
    first, *rest = key.split("|")
    assert line_of(HARD, (*first.split(" "), *rest)) == line


@given(st.lists(st.sampled_from(HARD.splitlines()), max_size=12).map("\n".join))
def test_keys_of_the_root_are_found_in_every_text_that_is_toml(text: str) -> None:
    try:
        keys = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert all(line_of(text, (key,)) is not None for key in keys)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('image = "x"\nnods = 3\n', "mine.toml:2: unknown key nods: expected one of .*; did you mean nodes?"),
        ('image = "x"\n[probe]\npath = "/"\n', "mine.toml:2: probe.leading is missing"),
        ('image = "x"\n\n[env]\nA = "1"\nB = 2\n', "mine.toml:5: env.B: expected a text, got 2"),
        ('image = "x"\nprobe.path = "/"\nprobe.leading = ""\n', "mine.toml:3: probe.leading: expected an expression"),
        ('image = "x"\nhelp = 7\n', "mine.toml:2: help: expected a text, got 7"),
        ('image = "x"\n[promises.crash]\nstabilty = "undefined"\n', "mine.toml:2: promises.crash: expected guarantees"),
    ],
)
def test_a_refusal_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        described(path)


def test_a_long_value_is_cut_off_in_a_message(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'nodes = "{"x" * 10_000}"\n')
    with pytest.raises(UsageError) as refused:
        described(path)
    assert len(str(refused.value)) < 1_000


def sections(section: Section) -> list[Section]:
    below = [*section.tables, *([] if section.each is None else [section.each])]
    return [section, *(found for each in below for found in sections(each))]


def test_the_page_of_all_keys_is_the_one_that_the_code_makes() -> None:
    assert PAGE.read_text() == reference.page(), "make docs writes it anew"


def test_no_table_declares_a_key_twice() -> None:
    for section in sections(ROOT):
        assert len(set(section.names)) == len(section.names), section.name
