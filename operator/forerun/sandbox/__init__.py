"""A real control plane on one machine, for the demo and the cluster tests.

Belongs here: getting the binaries, starting and stopping etcd, kube-apiserver,
kube-controller-manager, kube-scheduler, kwok and Prometheus, and feeding them. Does not
belong here: anything that the operator needs on a user's cluster; no other stage imports
this package.
"""
