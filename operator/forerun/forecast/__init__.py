"""Demand to come: past demand and declared campaigns become quantiles on a time grid.

`process` is the door: the operator's process imports it (and `wire`, `grid`, `priors`),
never torch. `worker` is the child process; `model` and what it calls live only there.
Does not belong here: reading metrics, sizing replicas.
"""
