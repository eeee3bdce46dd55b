"""The demo: the main job on a real control plane, with a live view and a verdict of its own.

    scenario (which event, how fast, how large) -> stage (everything that runs) -> observer
    (an eye of its own) -> view and chart (the terminal) -> verdict (what was promised, checked)

Belongs here: what the demo needs beyond the sandbox. Does not belong here: any decision of
the operator; the demo watches from outside, with the administrator's credentials.
"""
