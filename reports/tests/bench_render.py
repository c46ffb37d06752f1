"""What drawing a run costs: `python -m splitbrain.reports.tests.bench_render [seconds] [nodes] [observe_ms]`.

Makes a sample history, then measures, in this fresh process, reading, judging, and drawing with all its imports.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from splitbrain.reports.tests import samples


def main() -> None:
    given = [float(text) for text in sys.argv[1:]]
    seconds, nodes, observe_ms = [*given, *(60.0, 5.0, 10.0)[len(given) :]]
    truth = samples.elections(int(nodes), seconds, observe_ms=observe_ms, overlap=0.5)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "history.jsonl").write_bytes(b"".join(samples.lines(truth)))
        start = time.perf_counter()
        from splitbrain.checkers.history import History
        from splitbrain.checkers.judge import judge

        history = History.read(directory / "history.jsonl")
        read = time.perf_counter()
        verdicts = json.loads(json.dumps(judge(history).as_json()))
        judged = time.perf_counter()
        from splitbrain import reports

        written = reports.render(history, verdicts, {"system": "raft", "nemesis": ["sample"]}, {}, directory)
        drawn = time.perf_counter()
        print(f"{history.lines:,} lines, {len(history.observations):,} observations, {len(history.nodes)} nodes")
        print(f"read {read - start:.2f} s, judged {judged - read:.2f} s, drawn {drawn - judged:.2f} s")
        print(", ".join(f"{path.name} {path.stat().st_size / 1000:.0f} kB" for path in written))
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main()
