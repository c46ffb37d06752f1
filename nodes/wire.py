"""What nodes send each other: one JSON object a datagram, whole or not at all.

``{"v": 1, "from": "n1", "m": MESSAGE}``. Decoding is total: whatever bytes come, the outcome is a sender and
a message, or ``WireError``; nothing else is raised. Whether a message makes sense is for the machine to
judge.
"""

from __future__ import annotations

import json
from typing import Final

from splitbrain.nodes.protocol import Json

VERSION: Final = 1
# Below every common path's limit, so that no datagram is ever fragmented: half a message is no message.
MAX_BYTES: Final = 1400


class WireError(ValueError):
    """Bytes that are no datagram of this protocol, or a message too large to be one."""


def encode(sender: str, message: Json) -> bytes:
    """One datagram's bytes. Raises WireError when they would be more than ``MAX_BYTES``."""
    data = json.dumps({"v": VERSION, "from": sender, "m": message}, separators=(",", ":")).encode()
    if len(data) > MAX_BYTES:
        raise WireError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    return data


def decode(data: bytes) -> tuple[str, Json]:
    """The sender named in a datagram and its message. Raises WireError."""
    if len(data) > MAX_BYTES:
        raise WireError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    try:
        match json.loads(data):
            case {"v": int(version), "from": str(sender), "m": message} if version == VERSION:
                return sender, message
            case {"v": version, **_rest}:
                raise WireError(f"expected version {VERSION} with a sender and a message, got {version!r}")
            case _:
                raise WireError("expected an object with v, from and m")
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number or a nesting too long
        raise WireError(str(error)) from error
