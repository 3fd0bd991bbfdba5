"""``python -m bench speed``: every hot path against the best public alternative, or a plain reference kept for it.

`case` is what one measurement is made of, `cases` lists them, a module a group; `runner` measures, `interval` is the
statistics, `result` the file of a run and how two are compared.
"""
