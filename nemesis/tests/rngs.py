"""A random generator with fixed results, for literal expectations of random choices."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")


class FirstChoice(Random):
    """Leaves every order as it is and always takes the first."""

    def shuffle(self, x: MutableSequence[Any]) -> None:
        return None

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def sample(self, population: Sequence[T], k: int, *, counts: Any = None) -> list[T]:
        return list(population[:k])
