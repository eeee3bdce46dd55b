"""A real node beside the sandbox's control plane: kubelet, containerd, runc, CNI and kube-proxy, with real containers.

All of it runs in mount, network and pid namespaces of its own: bridges, rules of nftables, mounts and containers are
seen by nobody else, and are gone when the first process of these namespaces ends, however it ends.
"""
