"""The wire format between nodes: one JSON object per datagram, ``{"v": 1, "from": "n1", "m": MESSAGE}``.

Decoding is total: any bytes yield a sender and a message, or ``WireError``, and no other exception. The state machine
checks the content of a message.
"""

from __future__ import annotations

import json
from typing import Final

from splitbrain.nodes.protocol import Json

VERSION: Final = 1
# Below the MTU of every common path, so that no datagram is fragmented.
MAX_BYTES: Final = 1400


class WireError(ValueError):
    """Bytes that are not a datagram of this protocol, or a message too large for one."""


def encode(sender: str, message: Json) -> bytes:
    """The bytes of one datagram. Raises WireError if they exceed ``MAX_BYTES``."""
    data = json.dumps({"v": VERSION, "from": sender, "m": message}, separators=(",", ":")).encode()
    if len(data) > MAX_BYTES:
        raise WireError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    return data


def decode(data: bytes) -> tuple[str, Json]:
    """The sender and the message in a datagram. Raises WireError."""
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
    except (ValueError, RecursionError) as error:  # not JSON or UTF-8, too large a number, or nested too deeply
        raise WireError(str(error)) from error
