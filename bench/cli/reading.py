"""``table``, ``export``, ``status`` and ``compare``: what stored cells say; no plug-in is imported."""

import json
import sys
from argparse import Namespace
from dataclasses import asdict

from bench.cli.output import say
from bench.cli.stores import read_cells, reading_folders, report_problems
from bench.engine import inventory
from bench.engine.store import MEASURED, each_result, read_stores
from bench.errors import UsageError, counted


def table_command(options: Namespace) -> int:
    if options.all == bool(options.table):
        raise UsageError("say which table: its number, or --all with --output DIR (see: list tables)")
    return all_tables(options) if options.all else one_table(options)


def one_table(options: Namespace) -> int:
    from bench.report.aliases import parse_alias, read_aliases
    from bench.report.published import find_table
    from bench.report.render import render, write_table
    from bench.report.tables import make_table

    kind = find_table(options.table)
    results, problems = read_cells(options)
    table = make_table(
        kind,
        results,
        options.dataset,
        options.seed,
        methods=options.method,
        profile=options.profile,
        columns=options.columns,
        aliases=[*(read_aliases(options.aliases) if options.aliases else ()), *map(parse_alias, options.alias)],
    )
    print(render(table, options.format, options.published, standalone=options.standalone), end="")
    if options.output:
        for path in write_table(table, options.output):
            say(f"wrote {path}")
    return report_problems(problems)


def all_tables(options: Namespace) -> int:
    from bench.report import pages

    if options.output is None:
        raise UsageError("table --all writes files: say where with --output DIR")
    results, problems = read_stores([options.results or MEASURED])
    for path in pages.write(options.output, results, options.seed):
        say(f"wrote {path}")
    return report_problems(problems)


def export_command(options: Namespace) -> int:
    from bench.report.export import export, form_of

    form = form_of(options.output, options.format)
    problems: list[str] = []
    cells = each_result(reading_folders(options.results), problems)
    done, rows = export(cells, options.output, form, options.ranks)
    say(f"wrote {options.output}: {counted(done, 'cell')}, {counted(rows, 'row')}")
    return report_problems(problems)


def compare_command(options: Namespace) -> int:
    from bench.report.compare import as_text, compare

    results, problems = read_cells(options)
    comparison = compare(results, options.a, options.b, options.dataset, options.seed, options.profile)
    print(json.dumps(asdict(comparison), indent=1) if options.json else as_text(comparison))
    return report_problems(problems)


def status_command(options: Namespace) -> int:
    from bench.report.status import as_text, summarise

    if options.clean:
        clean(options)
    folders = reading_folders(options.results)
    results, problems = read_stores(folders, failures=True)
    problems += inventory.problems(folders)
    rows = summarise(results)
    cells = [asdict(row) for row in rows]
    print(json.dumps({"cells": cells, "problems": problems}, indent=1) if options.json else as_text(rows))
    return report_problems(problems)


def clean(options: Namespace) -> None:
    """Remove failures that say nothing any more; a line for each."""
    from bench.engine.upkeep import remove_outdated_failures

    results, _ = read_cells(options, failures=True)
    for cell, why in remove_outdated_failures(results):
        print(f"removed the failure of {cell}: {why}", file=sys.stderr)
