"""The command line: `forerun`, installed as `kubectl-forerun` too.

Exit codes: 0 done; 1 the answer is no; 2 bad input, with one line that names file, field and remedy.
"""
