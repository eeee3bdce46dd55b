"""The arena: a virtual clock and cluster, many lanes side by side, and the same code that plans in the operator.

Belongs here: what stands in for the cluster, the metrics pipeline and the HPA, and how arms are compared. Does not
belong here: a forecast or a plan of its own; the arm `forerun` asks the stages that the operator asks.
"""
