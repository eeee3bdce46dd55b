"""One frozen object of settings, read once from the environment (`FORERUN_*`)."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"must be addresses or CIDRs such as 10.0.0.0/8, separated by commas; {text!r} is none"
        ) from None


@dataclass(frozen=True, slots=True)
class Settings:
    """How the operator runs. Every field has a variable `FORERUN_<FIELD IN CAPITALS>`."""

    namespace: str = "forerun-system"  # where the Lease lives
    watch_namespaces: tuple[str, ...] = ()  # empty: all
    identity: str = ""  # of this process in the Lease; empty: host name and process id
    lease_name: str = "forerun"
    lease_duration_seconds: float = 15.0
    tick_seconds: float = 1.0
    metric_interval_seconds: float = 5.0  # live demand, while a window is near or open
    metric_max_age_seconds: float = 120.0  # older is stale
    # asked although loopback, link-local or the like
    metrics_allowed_cidrs: tuple[IPv4Network | IPv6Network, ...] = field(default=(), metadata={"each": _network})
    history_seconds: float = 28 * 86400.0
    history_step_seconds: float = 300.0
    history_refresh_seconds: float = 3600.0
    forecast_refresh_seconds: float = 30.0  # while a window is near or open
    evidence_samples: int = 5  # fresh samples that must agree before a floor comes down inside a window
    expiry_grace_seconds: float = 86400.0  # after the hold, a raise is given back even without metrics
    prepare_seconds: float = 30.0  # the ledger is committed this long before a step is due
    api_concurrency: int = 24
    requests_per_second: float = 500.0  # to the API server, the Lease and floors that are due left out
    recovery_requests_per_second: float = 20.0  # after a start or an outage; doubles every 10 s while all goes well
    background_writes_per_second: float = 20.0  # Events and the like
    resync_seconds: float = 30.0
    silent_watch_seconds: float = 75.0
    health_host: str = ""  # empty: all, as the kubelet probes from outside the pod
    health_port: int = 8080
    time_compression: float = 1.0  # rehearsals: seasons and response shapes run this many times faster
    forecast_threads: int = 1
    log_format: str = "json"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read `FORERUN_*`; ValueError names the variable and what it must be."""
        values: dict[str, object] = {}
        for setting in fields(cls):
            variable = f"FORERUN_{setting.name.upper()}"
            text = environment.get(variable)
            if text is None:
                continue
            values[setting.name] = _parse(variable, text, setting)
        return cls(**values)  # type: ignore[arg-type]


def _parse(variable: str, text: str, setting: Field[Any]) -> object:
    if isinstance(setting.default, tuple):
        each = setting.metadata.get("each", str)
        try:
            return tuple(each(part.strip()) for part in text.split(",") if part.strip())
        except ValueError as error:
            raise ValueError(f"{variable}: {error}") from None
    if isinstance(setting.default, int | float):
        kind = type(setting.default)
        try:
            number = kind(text)
        except ValueError:
            raise ValueError(f"{variable}: must be a number, is {text!r}") from None
        if not 0 <= number < float("inf"):
            raise ValueError(f"{variable}: must be finite and not negative, is {text!r}")
        return number
    return text
