"""The only Kubernetes client: typed errors, guarded writes, bounded waiting, the Lease.

Belongs here: how the API server is spoken to. Does not belong here: what is asked of it
and why; that is the stages' business. Objects come and go as plain dicts.
"""
