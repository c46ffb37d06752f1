"""Impairments of a link, as netem calls delay, loss, duplication and their like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Impairments:
    """Impairments of the link from one peer, as the packet queue applies them: probabilities, and times in ms.

    Each pair in ``bursts`` is a Gilbert-Elliott model of loss: the probabilities that a good link turns bad, and a bad
    one good, at each packet. With ``ms_per_kb`` a packet that would queue for longer than ``longest_ms`` is lost.
    """

    ms: int = 0
    jitter_ms: int = 0
    hold: float = 0.0
    hold_ms: int = 0
    corruption: float = 0.0
    duplication: float = 0.0
    ms_per_kb: int = 0
    longest_ms: int = 0
    bursts: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """Settings of the packet queue: impairments by sender's address, and the addresses that are cut off."""

    impaired: Mapping[str, Impairments]
    cut: tuple[str, ...]
