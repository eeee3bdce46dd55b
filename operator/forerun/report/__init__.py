"""Forecast against what happened, floors against Ready replicas, misses: one HTML file, no network.

Belongs here: the timeline's file format and pages made from it. Does not belong here: any
I/O, any decision.
"""
