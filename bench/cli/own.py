"""``init-method``, ``init-dataset`` and ``features``: for people's own methods and images."""

import shlex
from argparse import Namespace


def init_method_command(options: Namespace) -> int:
    from bench.plugin.template import write_template

    path = write_template(options.name, options.front_end, options.plugins)
    where = "".join(f" --plugins {shlex.quote(str(folder))}" for folder in options.plugins)
    print(f"wrote {path}")
    print(f"next: python -m bench check {options.name}{where}")
    return 0
