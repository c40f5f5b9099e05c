"""What stands in front of the page: it answers this machine only, and its browser asks nobody else."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
)
_FETCHING = ("/file=http:", "/file=https:", "/proxy=")  # paths at which Gradio fetches from elsewhere
_MOST = 1 << 20  # bytes of a request that is no upload


class Guard:
    """Refuses strange hosts (DNS rebinding), what the page of another site sends, and what would fetch from elsewhere.

    It tells the browser to stay here.

    Args:
        app: What answers the rest.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        allowed = host.rsplit(":", 1)[0] in HOSTS and headers.get(b"origin", f"http://{host}") == f"http://{host}"
        allowed = allowed and not any(path in scope["path"] for path in _FETCHING)
        if allowed and scope.get("method") == "POST" and not scope["path"].endswith("/upload"):
            body = await _body(receive)
            allowed = body is not None and not _names_elsewhere(body)
            receive = _again(body or b"", receive)
        if not allowed:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Forbidden: this page serves its own machine only.\n"})
            return

        async def with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message.get("headers", ()), policy, (b"referrer-policy", b"no-referrer")]
            await send(message)

        await self._app(scope, receive, with_policy)


async def _body(receive: Receive) -> bytes | None:
    """The body of a request; None where it is too large."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > _MOST:
            return None
        if not message.get("more_body", False):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then what comes after it."""
    given = False

    async def take() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return take


def _names_elsewhere(body: bytes) -> bool:
    """Whether an address of another machine stands in a request: Gradio fetches files that are given by address."""
    text = body.decode("utf-8", "replace").replace("\\/", "/")
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)  # as JSON may spell any letter
    return any(urlsplit(address).hostname not in HOSTS for address in re.findall(r"(?i)https?://[^\s\"'\\]*", text))
