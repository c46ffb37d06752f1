"""The entry of the command ``splitbrain``, in place before the command line is imported."""

from __future__ import annotations

import sys

from splitbrain.ending import DEBUG_OPTION, conclude, leave_at_once


def main() -> None:
    """Run the command line; signals end it with status 3 from here until the process ends."""
    try:
        conclude(_command_line, debug=DEBUG_OPTION in sys.argv)
    finally:
        leave_at_once()


def _command_line() -> None:
    from splitbrain.cli import main as run

    run()


if __name__ == "__main__":
    main()
