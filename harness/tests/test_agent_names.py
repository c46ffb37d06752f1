"""The agent's name server: which replies it changes, and how."""

from __future__ import annotations

import socket
import struct

from splitbrain.runtimes.docker.agent.names import ENGINE, replaced, upstream

NXDOMAIN = 3


def question(name: str, number: int = 7) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def answered(query: bytes, *addresses: str) -> bytes:
    header = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 600, 4)
    return header + query[12:] + b"".join(record + socket.inet_aton(address) for address in addresses)


ASKED = question("n2.example")
TRUE = answered(ASKED, "10.0.0.12")


def test_a_name_that_is_to_resolve_to_nothing_does_not_exist() -> None:
    reply = replaced(ASKED, TRUE, {"10.0.0.12": None})
    number, flags, questions, answers, _, _ = struct.unpack(">HHHHHH", reply[:12])
    assert (number, flags & 0xF, flags >> 15, questions, answers) == (7, NXDOMAIN, 1, 1, 0)
    assert reply[12:] == ASKED[12:]


def test_a_question_with_options_is_answered_without_them() -> None:
    option = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    reply = replaced(ASKED + option, TRUE, {"10.0.0.12": None})
    assert reply[12:] == ASKED[12:]


def test_a_stale_address_takes_the_place_of_the_true_one() -> None:
    both = answered(ASKED, "10.0.0.11", "10.0.0.12")
    assert replaced(ASKED, both, {"10.0.0.12": "10.0.0.250"}) == answered(ASKED, "10.0.0.11", "10.0.0.250")


def test_other_replies_pass_unchanged() -> None:
    assert replaced(ASKED, TRUE, {"10.0.0.13": None}) == TRUE
    assert replaced(ASKED, TRUE, {}) == TRUE
    missing = ASKED[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + ASKED[12:]
    assert replaced(ASKED, missing, {"10.0.0.12": "10.0.0.250"}) == missing


def test_the_name_server_of_the_host_is_asked() -> None:
    assert upstream("search x\nnameserver 10.9.8.7\nnameserver 10.9.8.8\n") == "10.9.8.7"
    assert upstream("# nothing\n") == ENGINE
