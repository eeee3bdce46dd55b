"""An HTTP session that a hostile or broken server cannot hold up, redirect or fill the memory of."""

import socket
from collections.abc import Sequence
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from forerun.signals.addresses import Network, refused

LARGEST_BODY = 16 * 1024 * 1024
_PIECE = 65536


class AddressRefusedError(Exception):
    """The host resolves to an address that is not connected to."""


class ConfinedSession(requests.Session):
    """Every request has one deadline for all of it, follows no redirect and reads no more than 16 MiB.

    What the host resolves to is looked at once for each connection, and that very address is connected to: a name
    that changes its meaning in between gains nothing. The environment is not asked for proxies, and no .netrc
    replaces the bearer token.
    """

    def __init__(self, timeout_seconds: float, allowed: Sequence[Network] = ()) -> None:
        super().__init__()
        self.trust_env = False
        self._timeout_seconds = timeout_seconds
        self._pinned = _PinnedAdapter(allowed)

    def get_adapter(self, url: str | bytes) -> HTTPAdapter:
        """Ours, whatever a library has mounted."""
        return self._pinned

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        """As requests' own; raises requests.Timeout, requests.ConnectionError or requests.RequestException."""
        deadline = monotonic() + self._timeout_seconds
        options |= {"timeout": self._timeout_seconds, "allow_redirects": False, "stream": True}
        with super().request(*arguments, **options) as response:
            response._content = _body(response, deadline)  # noqa: SLF001  (what requests itself does with a body it has read)
            response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
            return response


class _PinnedAdapter(HTTPAdapter):
    """Connections whose address is looked at before it is used; nothing is tried twice."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        super().__init__(max_retries=0)

        class Plain(_Pinned, HTTPConnection):
            networks = tuple(allowed)

        class Encrypted(_Pinned, HTTPSConnection):
            networks = tuple(allowed)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}


class _Pinned:
    """Resolve, look, connect to what was looked at; names of hosts and certificates stay those of the URL."""

    networks: tuple[Network, ...] = ()

    def _new_conn(self: Any) -> socket.socket:
        host = self.host.strip("[]")
        found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        failure: OSError = OSError(f"{host} has no address")
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            why = refused(address, self.networks)
            if why is not None:
                raise AddressRefusedError(f"{host} is {address}, {why}; settings.metricsAllowedCidrs lets it be asked")
            try:
                return create_connection((address, self.port), self.timeout, self.source_address, self.socket_options)
            except OSError as error:
                failure = error
        raise failure


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
