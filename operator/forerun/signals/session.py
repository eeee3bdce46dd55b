"""An HTTP session that a hostile or broken server cannot hold up, redirect or fill the memory of."""

from time import monotonic
from typing import Any

import requests

LARGEST_BODY = 16 * 1024 * 1024
_PIECE = 65536


class ConfinedSession(requests.Session):
    """Every request has one deadline for all of it, follows no redirect and reads no more than 16 MiB.

    The environment is not asked for proxies, and no .netrc replaces the bearer token.
    """

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__()
        self.trust_env = False
        self._timeout_seconds = timeout_seconds

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        """As requests' own; raises requests.Timeout, requests.ConnectionError or requests.RequestException."""
        deadline = monotonic() + self._timeout_seconds
        options |= {"timeout": self._timeout_seconds, "allow_redirects": False, "stream": True}
        with super().request(*arguments, **options) as response:
            response._content = _body(response, deadline)  # noqa: SLF001  (what requests itself does with a body it has read)
            response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
            return response


def _body(response: requests.Response, deadline: float) -> bytes:
    """The body, piece by piece as it comes in: a read that waits for a full buffer would never look at the clock."""
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = response.raw.read1(_PIECE, decode_content=True)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_BODY:
            raise requests.RequestException(f"the answer is larger than {LARGEST_BODY} bytes")
        if monotonic() > deadline:
            raise requests.Timeout("the answer came too slowly")
