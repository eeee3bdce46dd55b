"""Outcomes become conditions, Kubernetes Events, metrics and audit records.

Belongs here: words (made once, from a Reason and its numbers) and the shapes that users
read. Does not belong here: any decision, any write to the API server.
"""
