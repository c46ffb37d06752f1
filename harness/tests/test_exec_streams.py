"""The output of commands in containers: frames, and what the engine's client has read ahead of them."""

from __future__ import annotations

import socket
from types import SimpleNamespace

from splitbrain.runtimes.docker.exec_streams import STDERR, STDOUT, ExecStream, Frames, read_ahead


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


def test_frames_are_complete_wherever_the_output_was_cut_in_pieces() -> None:
    output = b"\x01\0\0\0\0\0\0\x05hello" + b"\x02\0\0\0\0\0\0\0" + b"\x02\0\0\0\0\0\0\x02no"
    for cut in range(len(output) + 1):
        frames = Frames()
        found = [*frames.feed(output[:cut]), *frames.feed(output[cut:])]
        assert found == [(STDOUT, b"hello"), (STDERR, b""), (STDERR, b"no")]
    assert [*Frames().feed(output[:-1])] == [(STDOUT, b"hello"), (STDERR, b"")]


def test_a_stream_gives_what_was_read_ahead_first_and_ends_with_the_connection() -> None:
    ours, engines = socket.socketpair()
    with ours, engines:
        engines.sendall(b"\x01\0\0\0\0\0\0\x02ok")
        engines.shutdown(socket.SHUT_WR)
        assert [*ExecStream(ours).frames()] == [(STDOUT, b"ok")]
