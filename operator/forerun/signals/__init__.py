"""Reading the world: demand from Prometheus, traces from files, start-up times from Pods.

Everything that comes in becomes a value of `domain`, or a `Hold` that says why not. Does not belong here: what
follows from a value.
"""
