"""Errors sorted by whose fault they are; each kind has its exit status.

    SplitbrainError
    ├── UsageError          the user's mistake: what was expected, what came, where       (64)
    └── EnvironmentFailure  the machine's or the engine's failure: what to do about it     (3)
    Interrupted             somebody ended the run: ctrl-C or kill -TERM                   (3)

What a node answers, or fails to answer, is data in the history and never an exception. A bug of our own is an
assertion or any other exception, and shows its traceback.
"""

from __future__ import annotations

EXIT_VALID = 0
EXIT_INVALID = 1
EXIT_UNKNOWN = 2
EXIT_FAILED = 3
EXIT_USAGE = 64


class SplitbrainError(Exception):
    """Something that is not our own bug; ``exit_status`` is what the command line ends with."""

    exit_status: int = EXIT_FAILED


class UsageError(SplitbrainError):
    """The caller asked for something that cannot be."""

    exit_status = EXIT_USAGE


class EnvironmentFailure(SplitbrainError):
    """The world around the run failed: no engine, a full disk, an image that does not build."""


class Interrupted(BaseException):
    """The run was told to end by a signal. Like KeyboardInterrupt it is no Exception: code that goes on after any
    failure, as judging does after a checker's, must not go on after this."""

    exit_status = EXIT_FAILED
