"""The shell: kopf watches, the index remembers, one global tick decides and acts.

    watching -> index -> ticker -> reconcile (observe, forecast, plan, due) -> execution -> status

Belongs here: the order in which the stages are called, and what happens between them.
Does not belong here: a decision (it is in `plan`) or the words of one (`observe`).
"""
