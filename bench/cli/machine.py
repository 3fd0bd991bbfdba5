"""``doctor``: this machine and its data sets."""

import json
from argparse import Namespace

from bench.errors import DataError, visible


def doctor_command(options: Namespace) -> int:
    from bench.cli.stores import writing_stores
    from bench.engine.doctor import as_text, examine, incomplete

    store, _ = writing_stores(options.results)
    findings = examine(options.data, store.folder, options.dataset, options.weights)
    text = json.dumps(findings, indent=1) if options.json else as_text(findings, named=bool(options.dataset))
    print("\n".join(map(visible, text.split("\n"))))
    if options.dataset and (reasons := incomplete(findings)):
        raise DataError("; ".join(reasons))
    return 0
