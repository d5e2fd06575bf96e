"""What every request has to pass: reading only, from this machine, small, and not too many at a time.

Headers of the answers forbid a page to load anything from elsewhere or to be framed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Names under which a browser on this machine may ask; others come from a page that was made to look near.
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Limits:
    """Say how much is answered.

    Attributes
    ----------
    per_second, burst
        Requests that are answered on average, and at once after a pause.
    in_flight
        Requests that may wait for their answer at a time.
    body, address
        Bytes of a request's body and of its address.
    threads
        Tiles that are cut at a time.
    tile_bytes, block_bytes, picture_bytes
        Tiles and blocks of cells kept in memory; pictures kept on disk.
    """

    per_second: float = 2000.0
    burst: int = 8000
    in_flight: int = 1000
    body: int = 1024
    address: int = 2048
    threads: int = 3
    tile_bytes: int = 32 * 2**20
    block_bytes: int = 48 * 2**20
    picture_bytes: int = 2 * 2**30


class Guard:
    """Stand before an application and refuse what it should not see.

    Parameters
    ----------
    app
        What is guarded.
    limits
        How much is answered.
    clock
        Gives seconds.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app, self.limits, self.clock = app, limits, clock
        self._left, self._seen = float(limits.burst), clock()
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        send = _with_headers(send, without_body=is_head)
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        if is_head:
            scope = {**scope, "method": "GET"}
        self._waiting += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._waiting -= 1

    def _refusal(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in HOSTS:
            return 421, "This server answers on 127.0.0.1 and localhost only.", {}
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "This server only reads: GET and HEAD.", {"allow": "GET, HEAD"}
        size = headers.get(b"content-length", b"0")
        is_large = not size.isdigit() or int(size[:12]) > self.limits.body
        if is_large or b"transfer-encoding" in headers:
            return 413, f"A body has at most {self.limits.body} bytes here.", {}
        if len(scope["path"]) + len(scope["query_string"]) > self.limits.address:
            return 414, f"An address has at most {self.limits.address} bytes here.", {}
        if not self._may_pass():
            return 429, "Too many requests; wait a second.", {"retry-after": "1"}
        if self._waiting >= self.limits.in_flight:
            return 503, "Too many requests at a time; wait a second.", {"retry-after": "1"}
        return None

    def _may_pass(self) -> bool:
        now = self.clock()
        gained = (now - self._seen) * self.limits.per_second
        self._left, self._seen = min(self._left + gained, float(self.limits.burst)), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _with_headers(send: Send, *, without_body: bool) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            named = {name.lower() for name, _ in given}
            given += [
                (name.encode(), value.encode())
                for name, value in HEADERS.items()
                if name.encode() not in named
            ]
            message = {**message, "headers": given}
        elif without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return answer


async def _refuse(send: Send, status: int, words: str, headers: dict[str, str]) -> None:
    body = json.dumps({"detail": words}).encode()
    fields = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
