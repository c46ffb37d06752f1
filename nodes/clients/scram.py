"""The client's side of SCRAM-SHA-256, without channel binding: what it says, from what the server says.

Source: RFC 5802 and RFC 7677; PostgreSQL 15 documentation, section 55.3. The server proves that it knows the password
too, and one that does not is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

MECHANISM: Final = "SCRAM-SHA-256"
MOST_ITERATIONS: Final = 100_000  # a server that asks for more could keep the client busy for long


class ScramError(ValueError):
    """What the server says is no SCRAM, or does not prove that it knows the password."""


class Scram:
    """One exchange: ``first``, then ``final`` with the server's first message, then ``check`` with its final one."""

    def __init__(self, user: str, password: str, nonce: str | None = None) -> None:
        self._nonce = nonce or secrets.token_urlsafe(18)
        self._bare = f"n={user},r={self._nonce}"
        self._password = password.encode()
        self._signature = b""

    @property
    def first(self) -> str:
        return f"n,,{self._bare}"

    def final(self, said: str) -> str:
        """The client's final message. Raises ScramError."""
        salt, iterations, nonce = self._asked(said)
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        key = _hmac(salted, b"Client Key")
        without_proof = f"c=biws,r={nonce}"
        words = ",".join((self._bare, said, without_proof)).encode()
        signature = _hmac(hashlib.sha256(key).digest(), words)
        self._signature = _hmac(_hmac(salted, b"Server Key"), words)
        proof = bytes(left ^ right for left, right in zip(key, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}"

    def check(self, said: str) -> None:
        """Raise ScramError unless the server proves that it knows the password."""
        if said != f"v={base64.b64encode(self._signature).decode()}":
            raise ScramError("the server does not prove that it knows the password")

    def _asked(self, said: str) -> tuple[bytes, int, str]:
        fields = dict(part.split("=", 1) for part in said.split(",") if "=" in part)
        try:
            salt, iterations, nonce = base64.b64decode(fields["s"], validate=True), int(fields["i"]), fields["r"]
        except (KeyError, ValueError) as wrong:
            raise ScramError(f"expected salt, iterations and nonce, got {said[:60]!r}") from wrong
        if not nonce.startswith(self._nonce) or not 1 <= iterations <= MOST_ITERATIONS:
            raise ScramError(f"expected the nonce that was sent and at most {MOST_ITERATIONS:,} iterations")
        return salt, iterations, nonce


def _hmac(key: bytes, words: bytes) -> bytes:
    return hmac.new(key, words, hashlib.sha256).digest()
