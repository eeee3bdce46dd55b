"""Where the API server is and who we are: kubeconfig or service account, read by the official client."""

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, load_incluster_config
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, load_kube_config

from forerun import __version__
from forerun.kube.errors import NotConfigured

TIMEOUT_SECONDS = 10.0
SPARE_CONNECTIONS = 4  # the Lease never waits for a connection
READ_BUFFER_BYTES = 2**21  # a page of a list is larger than aiohttp's default


class Connection:
    """Configuration, credentials and one pooled session; call `renew` after a 401."""

    def __init__(self, kubeconfig: str | None, context: str | None, concurrency: int) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._concurrency = concurrency
        self._configuration = Configuration()
        self.namespace = "default"  # the context's own
        self.client: ApiClient
        self.session: aiohttp.ClientSession
        self.host = ""
        self.proxy: str | None = None
        self.server_hostname: str | None = None

    async def open(self) -> None:
        """Read the configuration and make the session; NotConfigured where there is none."""
        await self._load()
        configuration = self._configuration
        self.host = str(configuration.host).rstrip("/")
        self.proxy = configuration.proxy or _proxy_of(self.host)
        self.server_hostname = configuration.tls_server_name
        try:
            self.client = ApiClient(configuration)
        except OSError as error:  # certificates: ssl.SSLError is an OSError
            raise NotConfigured(f"kubeconfig: its certificates cannot be read ({error}); renew it") from None
        connector = aiohttp.TCPConnector(
            limit=self._concurrency + SPARE_CONNECTIONS, ssl=self.client.rest_client.ssl_context, ttl_dns_cache=30
        )
        # Not trust_env: aiohttp then looks up proxies and ~/.netrc anew for every request.
        self.session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            headers={"User-Agent": f"forerun/{__version__}", "Accept": "application/json"},
            read_bufsize=READ_BUFFER_BYTES,
        )
        self.client.rest_client.pool_manager = self.session  # one pool for both, closed with the client

    async def authorization(self) -> str | None:
        """Value of the Authorization header; None with client certificates. Service account tokens are reread."""
        token: str | None = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return token

    async def renew(self) -> None:
        """Read token files and run credential plugins again: tokens are short-lived."""
        await self._load()

    async def close(self) -> None:
        await self.client.close()

    async def _load(self) -> None:
        path = self._kubeconfig or os.environ.get("KUBECONFIG")
        in_cluster = not path and SERVICE_HOST_ENV_NAME in os.environ
        try:
            if in_cluster:
                load_incluster_config(client_configuration=self._configuration)
                return
            path = path or str(KUBE_CONFIG_DEFAULT_LOCATION)
            if not _is_there(path):
                raise FileNotFoundError("no such file")  # the client would go on, and miss a context in nothing
            loader = await load_kube_config(path, context=self._context, client_configuration=self._configuration)
            self.namespace = loader.current_context["context"].get("namespace") or "default"
        except (ConfigException, yaml.YAMLError, OSError, KeyError, TypeError, ValueError) as error:
            where = "service account" if in_cluster else f"kubeconfig {path}"
            cause = " ".join(str(error).split())[:200]
            raise NotConfigured(f"{where}: {cause}; name another one with --kubeconfig or $KUBECONFIG") from None


def _is_there(paths: str) -> bool:
    """Whether one of the files that $KUBECONFIG may name is there."""
    return any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path)


def _proxy_of(host: str) -> str | None:
    """The proxy that the environment asks for; looked up once, not per request."""
    address = urlsplit(host)
    return None if proxy_bypass(address.netloc) else getproxies().get(address.scheme)
