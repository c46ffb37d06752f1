"""Output of a command that the engine's client has read together with the headers of its answer."""

from __future__ import annotations

import socket
from types import SimpleNamespace

from splitbrain.runtimes.docker.engine import read_ahead


def test_what_was_read_with_the_headers_is_not_lost_and_nothing_is_waited_for() -> None:
    ours, engines = socket.socketpair()
    with ours, engines, ours.makefile("rb") as reader:
        stream = SimpleNamespace(
            _sock=ours, _response=SimpleNamespace(raw=SimpleNamespace(_fp=SimpleNamespace(fp=reader)))
        )
        ours.settimeout(7)
        engines.sendall(b"headers\nnot yet")
        assert reader.readline() == b"headers\n"
        assert read_ahead(stream) == b"not yet"
        assert reader.read1() == b"not yet"
        assert (read_ahead(stream), ours.gettimeout()) == (b"", 7)


def test_a_stream_of_another_kind_has_nothing_read_ahead() -> None:
    assert read_ahead(SimpleNamespace()) == b""
