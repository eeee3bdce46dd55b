"""The decision core: from a forecast to floors over time, and from those to what is due now.

Belongs here: pure functions over `domain` values that take `now`. Does not belong here:
any clock, any I/O, any logging, any library. Ordinary refusals are returned as `Hold`.
"""
