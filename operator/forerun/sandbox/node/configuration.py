"""What containerd, CNI, kubelet and kube-proxy are told. Pure; architecture and reasons are in docs/e2e.md."""

import json
from typing import Any

from forerun.sandbox.node.layout import Layout

PAUSE_IMAGE = "forerun.dev/e2e/pause:1"
CNI_PLUGINS = "/usr/lib/cni"
MOST_PODS = 80


def containerd(layout: Layout) -> str:
    """config.toml."""
    folder = layout.folder
    return f"""version = 3
root = {_quoted(folder / "containerd")}
state = {_quoted(folder / "containerd-state")}
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile"]

[grpc]
  address = {_quoted(layout.socket)}

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = {_quoted(PAUSE_IMAGE)}

[plugins.'io.containerd.cri.v1.runtime']
  # without CAP_SYS_RESOURCE runc cannot lower the score, and would fail
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [{_quoted(CNI_PLUGINS)}]
    conf_dir = {_quoted(folder / "cni")}
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni(layout: Layout) -> dict[str, Any]:
    """The list of plugins: a bridge with addresses of this node's block. Nothing is masked: pods reach this machine."""
    ranges = [[{"subnet": layout.addresses.pods}]]
    ipam = {
        "type": "host-local",
        "dataDir": str(layout.folder / "cni-addresses"),
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def kubelet(layout: Layout) -> dict[str, Any]:
    """KubeletConfiguration."""
    folder = layout.folder
    never = {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"}
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},  # reached from this machine only
        "address": layout.addresses.node,
        "readOnlyPort": 0,
        "healthzBindAddress": layout.addresses.node,
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": layout.group,
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "enforceNodeAllocatable": ["pods"],
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": MOST_PODS,
        "oomScoreAdj": 0,
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": str(folder / "volume-plugins"),
        "resolvConf": str(folder / "resolv.conf"),
        # 10 ms instead of 100: a pod of 60 millicores computes a little all the time, not in bursts
        "featureGates": {"CustomCPUCFSQuotaPeriod": True},
        "cpuCFSQuotaPeriod": "10ms",
        "serializeImagePulls": False,
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
    }


def kube_proxy(layout: Layout) -> dict[str, Any]:
    """KubeProxyConfiguration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(layout.folder / "kubeconfig")},
        "hostnameOverride": layout.name,
        "clusterCIDR": layout.addresses.pods,
        # the limits of the connection table belong to the whole machine
        "linux": {
            "oomScoreAdj": 0,
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        },
        "healthzBindAddress": f"{layout.addresses.node}:10256",
        "metricsBindAddress": f"{layout.addresses.node}:10249",
    }


def kubeconfig(layout: Layout, ca: bytes, certificate: bytes, key: bytes, port: int) -> dict[str, Any]:
    """How kubelet and kube-proxy reach the API server on this machine; arguments are base64 but for the port."""
    server = f"https://{layout.addresses.host}:{port}"
    cluster = {"server": server, "certificate-authority-data": ca.decode(), "tls-server-name": "localhost"}
    user = {"client-certificate-data": certificate.decode(), "client-key-data": key.decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": "node", "user": user}],
        "contexts": [{"name": "node", "context": {"cluster": "sandbox", "user": "node"}}],
        "current-context": "node",
    }


def programs(layout: Layout, binaries: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Name and command line, in the order in which they start."""
    folder = layout.folder
    return [
        ("containerd", [binaries["containerd"], "--config", f"{folder}/containerd.toml"]),
        (
            "kubelet",
            [
                binaries["kubelet"],
                f"--config={folder}/kubelet.json",
                f"--kubeconfig={folder}/kubeconfig",
                f"--root-dir={folder}/kubelet",
                f"--cert-dir={folder}/kubelet-certificates",
                f"--hostname-override={layout.name}",
                f"--node-ip={layout.addresses.node}",
                "--node-labels=forerun.dev/real=true",
            ],
        ),
        ("kube-proxy", [binaries["kube-proxy"], f"--config={folder}/kube-proxy.json"]),
    ]


def document(value: dict[str, Any]) -> str:
    """JSON is YAML."""
    return json.dumps(value, indent=1)


def _quoted(value: object) -> str:
    return json.dumps(str(value))
