"""What stands in front of the page: it answers this machine only, and its browser asks nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

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


class Guard:
    """Refuses strange hosts (DNS rebinding) and paths that fetch from elsewhere; tells the browser to stay here.

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
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        if host not in HOSTS or any(path in scope["path"] for path in _FETCHING):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Forbidden: this page serves its own machine only.\n"})
            return

        async def with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message.get("headers", ()), policy, (b"referrer-policy", b"no-referrer")]
            await send(message)

        await self._app(scope, receive, with_policy)
