"""Read the commands that are run once in the containers of a group of machines, before its nodes are asked."""

from __future__ import annotations

from typing import Final

from splitbrain.nodes.systems.base import SetUp, Words
from splitbrain.user_systems.description.placeholders import Style, checked, example
from splitbrain.user_systems.description.table import FLAG, TEXTS, Key, Section, Table, list_of, whole

MOST_COMMANDS: Final = 50
COMMANDS: Final = list_of(TEXTS, 'a list of commands, each a list of texts such as ["app", "init"]', MOST_COMMANDS)

FIRST: Final[Key[tuple[tuple[str, ...], ...]]] = Key(
    name="first", kind=COMMANDS, usual=(), meaning="commands in the first machine, one after another"
)
EACH: Final[Key[tuple[tuple[str, ...], ...]]] = Key(
    name="each", kind=COMMANDS, usual=(), meaning="then commands in each machine, in all machines at once"
)
AFTER: Final[Key[tuple[tuple[str, ...], ...]]] = Key(
    name="after", kind=COMMANDS, usual=(), meaning="then commands in the first machine again"
)
TIMEOUT_S: Final = Key(
    name="timeout_s", kind=whole(most=3_600), usual=60, meaning="the time within which each command ends"
)
RETRY: Final = Key(
    name="retry",
    kind=FLAG,
    usual=False,
    meaning="a command that fails is tried again within that time, as one may that waits for software to come up",
)
SETUP: Final = Section(
    name="setup",
    meaning="Commands that are run once in the containers, after all servers accept connections and before the nodes "
    "are asked; those of servers come before those of the nodes. They must end with status 0.",
    keys=(FIRST, EACH, AFTER, TIMEOUT_S, RETRY),
)


def read_set_up(root: Table, style: Style, groups: tuple[str, ...]) -> SetUp:
    """The commands of the set-up, in a system with servers in these groups. Raises UsageError."""
    table = root.table(SETUP)
    known = {**style.values(example(groups)), "peer": ""}

    def commands(key: Key[tuple[tuple[str, ...], ...]]) -> tuple[Words, ...]:
        given: tuple[tuple[str, ...], ...] = table[key]
        for words in given:
            if not words:
                raise table.refuse(key, "commands of at least one word", list(words))
            for text in words:
                checked(table, key, text, known)
        return tuple(map(style.words, given))

    return SetUp(
        first=commands(FIRST),
        each=commands(EACH),
        after=commands(AFTER),
        timeout_s=float(table[TIMEOUT_S]),
        retry=table[RETRY],
    )
