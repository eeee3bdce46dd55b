"""The words of Forerun: frozen values of the standard library, shared by every stage.

Belongs here: nouns that at least two stages speak of. Does not belong here: any
decision, any I/O, any library. Times are aware UTC datetimes; durations are floats in
seconds; demand is a float in the Storefront's unit per second (`_rps`).
"""
