"""Generate a pytest test from a case, which fails for as long as the promise is broken.

The schedule is embedded as JSON, one step per line, so that the faults are easy to read.
"""

from __future__ import annotations

import json
import re

from splitbrain.campaigns.hunt.case import Case, FailureSignature
from splitbrain.nemesis import schedules


def snippet(case: Case, signature: FailureSignature) -> str:
    """The source of a pytest module with one test."""
    return f'''from splitbrain.campaigns.hunt.case import broken_promises
from splitbrain.nemesis.schedules import loads


def test_{_identifier(case.system)}_keeps_{_identifier(signature.property)}() -> None:
    schedule = loads("""{_lines(case)}""")
    broken = broken_promises({_arguments(case)})
    assert {json.dumps(signature.property)} not in broken
'''


def _arguments(case: Case) -> str:
    workload = "" if case.workload == "election" else f", workload={json.dumps(case.workload)}"
    return f"{json.dumps(case.system)}, schedule, nodes={case.nodes}, seed={case.seed}{workload}"


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower()


def _lines(case: Case) -> str:
    value = schedules.to_json(case.schedule)
    steps = ",\n        ".join(json.dumps(step) for step in value.pop("steps"))
    head = json.dumps(value).removesuffix("}")
    return f'{head}, "steps": [\n        {steps}\n    ]}}' if steps else f'{head}, "steps": []}}'
