"""How good the forecast is: events of a trace in time order, each decided on what was known before it.

`splits` makes the decisions, `scores` judges what a model said about them, `run` puts them in a row. Our model is asked
through the same door as in the operator. Does not belong here: what the forecast does.
"""
