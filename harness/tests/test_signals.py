"""Signals at the ends of a command: while it is being imported, in a finalizer, and when it has concluded."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]

DURING_IMPORTS = """
import signal, sys
class Late:
    def find_spec(self, name, path=None, target=None):
        if name == "splitbrain.ending":
            signal.raise_signal({number})
sys.meta_path.insert(0, Late())
import splitbrain.__main__
"""
IN_A_FINALIZER = """
import signal, time
from splitbrain.ending import conclude
class Dying:
    def __del__(self):
        signal.raise_signal({number})
def work():
    Dying()
    time.sleep(30)
conclude(work)
"""
WHERE_ERRORS_ARE_IGNORED = """
import signal, time
from splitbrain.ending import conclude
def work():
    try:
        signal.raise_signal({number})
    except BaseException:
        pass
    time.sleep(30)
conclude(work)
"""
AT_THE_END = """
import atexit, signal, sys
from splitbrain import __main__
sys.argv = ["splitbrain", "--version"]
atexit.register(signal.raise_signal, {number})
__main__.main()
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        (DURING_IMPORTS, 3, ""),
        (IN_A_FINALIZER, 3, "splitbrain: interrupted by {name}\n"),
        (WHERE_ERRORS_ARE_IGNORED, 3, "splitbrain: interrupted by {name}\n"),
        (AT_THE_END, 0, ""),
    ],
    ids=["imports", "finalizer", "errors ignored", "end"],
)
def test_a_signal_ends_a_command_with_a_status_and_no_traceback(
    code: str, status: int, message: str, number: signal.Signals
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code.format(number=int(number))],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in SIGNALS] and None,
    )
    assert (done.returncode, done.stderr) == (status, message.format(name=number.name))
