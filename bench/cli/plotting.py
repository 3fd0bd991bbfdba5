"""``plot``: a figure of stored cells to a file; nothing is computed but images that are enhanced."""

from argparse import Namespace

from bench.cli.output import say
from bench.cli.stores import reading_folders, report_problems
from bench.engine.store import read_stores
from bench.figures.kinds import find_kind
from bench.figures.output import form_of, write
from bench.figures.request import Request


def plot_command(options: Namespace) -> int:
    kind = find_kind(options.kind)
    form_of(options.output)
    folders = reading_folders(options.results)
    results, problems = read_stores(folders)
    figure = kind.draw(
        Request(
            results, options.method, options.dataset, options.seed, options.profile, tuple(folders), options.data,
            options.split, options.probe,
        )
    )  # fmt: skip
    write(figure, options.output)
    for note in figure.notes:
        print(note)
    say(f"wrote {options.output}")
    return report_problems(problems)
