"""The entry of the command ``splitbrain``: signals end it with status 3 and no traceback from its first line on."""

from __future__ import annotations

# The module ``signal`` imports much, and a signal may come meanwhile.
import _signal  # type: ignore[import-not-found]
import os
import sys

SIGNALS = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM)


def _leave(number: int, frame: object) -> None:
    os._exit(3)  # nothing has begun yet, and no name of a status has been imported


for each in SIGNALS:
    if _signal.getsignal(each) is not _signal.SIG_IGN:  # as under ``nohup``
        _signal.signal(each, _leave)

for name, flags in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their numbers
    if getattr(sys, name) is None:  # it was closed (``>&-``), and the next file opened would be written to in its place
        setattr(sys, name, open(os.devnull, flags))  # noqa: PTH123, SIM115  # for as long as the process lives

from splitbrain.ending import DEBUG_OPTION, conclude, ignore_signals  # noqa: E402  # after the signals


def main() -> None:
    """Run the command line; signals end it until it has concluded."""
    try:
        conclude(_command_line, debug=DEBUG_OPTION in sys.argv)
    finally:
        ignore_signals()


def _command_line() -> None:
    from splitbrain.cli import main as run

    run()


if __name__ == "__main__":
    main()
