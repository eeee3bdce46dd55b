"""Where a node keeps its files and which addresses it has. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SERVICES = "10.0.0.0/24"
"""kube-apiserver's default range of Services."""
API_SERVICE = "10.0.0.1"

_POOL = ipaddress.ip_network("10.192.0.0/11")


@dataclass(frozen=True, slots=True)
class Addresses:
    """A block of 256 addresses: one for this machine, one for the node, half of them for pods."""

    block: ipaddress.IPv4Network

    @property
    def host(self) -> str:
        """The machine that the node runs on, as its pods see it."""
        return str(self.block[1])

    @property
    def node(self) -> str:
        return str(self.block[2])

    @property
    def pods(self) -> str:
        return str(list(self.block.subnets(1))[1])


def free_block(taken: Sequence[str], number: int) -> Addresses:
    """A block that overlaps none of the networks `taken`; `number` is any integer, to begin at different ones.

    Raises ValueError where all are taken.
    """
    networks = [ipaddress.ip_network(network, strict=False) for network in taken]
    blocks = 2 ** (24 - _POOL.prefixlen)
    for offset in range(blocks):
        first = int(_POOL.network_address) + (number + offset) % blocks * 256
        block = ipaddress.IPv4Network((first, 24))
        if not any(block.overlaps(other) for other in networks if isinstance(other, ipaddress.IPv4Network)):
            return Addresses(block)
    raise ValueError(f"no free block of addresses in {_POOL}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything of one node lies in `folder`, and its control groups in `group`."""

    name: str
    folder: Path
    group: str
    addresses: Addresses

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def pod_logs(self) -> Path:
        return self.folder / "pod-logs"
