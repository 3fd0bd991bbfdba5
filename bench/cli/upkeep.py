"""``adopt``: the user's own cells into the results that come with bench."""

import sys
from argparse import Namespace

from bench.cli.stores import report_problems
from bench.cli.values import parse_splits
from bench.errors import UsageError, counted, listing


def adopt_command(options: Namespace) -> int:
    from bench.engine.store import MEASURED, Store, own_folder
    from bench.engine.upkeep import adopt, carry_tables, chosen

    if not MEASURED.is_dir():
        raise UsageError("adopt needs a clone of bench: an installed one has no results/measured")
    if not (options.method or options.dataset or options.splits):
        raise UsageError("say what to adopt: methods with -m, data sets with -d, or --splits")
    source = Store(options.results or own_folder())
    results, problems = source.read_all(failures=True)
    splits = None if options.splits is None else parse_splits(options.splits)
    found = chosen(results, options.method, options.dataset, splits)
    if not found:
        raise UsageError(f"no such cell here: {source.folder}")
    refused: dict[str, list[str]] = {}
    adopted = []
    for result in found:
        if why := adopt(result, source, Store(MEASURED), options.enhancers):
            refused.setdefault(why, []).append(str(result.cell))
        else:
            adopted.append(result.cell)
    problems += carry_tables(adopted, source, Store(MEASURED))
    for why, cells in refused.items():
        print(f"bench: not adopted, {why}: {counted(len(cells), 'cell')}: {listing(cells)}", file=sys.stderr)
    print(f"{counted(len(adopted), 'cell')} adopted into {MEASURED}")
    return max(report_problems(problems), 1 if refused else 0)
