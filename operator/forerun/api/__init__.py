"""The Kubernetes API of Forerun: typed models of the five kinds, their CRDs, and the way to and from `domain`.

Belongs here: what an object may say, what its times mean, and how a refusal reads. Does
not belong here: any decision about capacity, and any I/O. Every function here takes
JSON-like input and answers with a value or a `Refusal`; none raises for what a user wrote.
"""
