"""``report``: everything that was measured, as one HTML file."""

from argparse import Namespace

from bench.cli.output import say
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
    found_by = ["--results", str(options.results)] if options.results else []
    found_by += [word for folder in options.plugins for word in ("--plugins", str(folder))]
    try:
        document = gather(request, failed, problems, options.with_images, found_by)
    except UsageError:
        report_problems(problems)
        raise
    content = render(document)
    write_text(options.output, content)
    for picture in (*document.figures, *document.images):
        if picture.why:
            say(f"not drawn: {picture.kind}{f' of {picture.of}' if picture.of else ''}: {picture.why}")
    say(f"wrote {options.output}: {counted(document.cells, 'cell')}, {len(content.encode()) / 2**20:.1f} MiB")
    return report_problems(problems)
