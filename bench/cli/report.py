"""``report``: everything that was measured, as one HTML file."""

import sys
from argparse import Namespace

from bench.cli.stores import reading_folders, report_problems
from bench.document.page import gather, render
from bench.engine.store import read_stores
from bench.errors import UsageError, counted
from bench.figures.request import Request
from bench.report.render import write_text


def report_command(options: Namespace) -> int:
    if options.output.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"{options.output}: the file of a report ends in .html")
    folders = reading_folders(options.results)
    every, problems = read_stores(folders, failures=True)
    finished = [result for result in every if not result.failed]
    failed = [result for result in every if result.failed]
    request = Request(
        finished, options.method, options.dataset, options.seed, options.profile, tuple(folders), options.data
    )
    document = gather(request, failed, problems, options.with_images)
    path = write_text(options.output, render(document))
    for picture in (*document.figures, *document.images):
        if picture.why:
            print(
                f"not drawn: {picture.kind}{f' of {picture.of}' if picture.of else ''}: {picture.why}", file=sys.stderr
            )
    size = path.stat().st_size / 2**20 if path.is_file() else 0.0
    print(f"wrote {path}: {counted(document.cells, 'cell')}, {size:.1f} MiB", file=sys.stderr)
    return report_problems(problems)
