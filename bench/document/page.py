"""The page itself: what was measured, put into the template; style, script and pictures are part of the file."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.document.against import Against
from bench.document.boards import Board, board, datasets_of, in_short
from bench.document.curves import Chart, chart
from bench.document.ledger import Ledger, Trouble, ledger, troubles
from bench.document.pictures import Picture, figures, images
from bench.engine.store import Result
from bench.errors import UsageError, counted, visible
from bench.figures.people import drawn
from bench.figures.request import Request
from bench.figures.rows import nothing
from bench.plugin.registry import unknown
from bench.report.groups import Groups, has_schedule
from bench.report.html import as_html
from bench.report.names import Aliases, matching, select
from bench.report.published import TableKind, table_kinds
from bench.report.tables import main_kind, make_table, printed_methods, rows_of

DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class TableShown:
    """A table of the paper."""

    kind: TableKind
    html: Markup


@dataclass(frozen=True)
class Document:
    """What the report says.

    charts: by data set.  cells: how many; newest: the day of the last.  choice: what was asked for, in words, where
    that is not everything.  people: the data sets of whose people there are images.
    """

    boards: tuple[Board, ...]
    charts: dict[str, Chart]
    tables: tuple[TableShown, ...]
    figures: tuple[Picture, ...]
    images: tuple[Picture, ...]
    ledger: Ledger
    troubles: tuple[Trouble, ...]
    cells: int
    newest: str
    choice: tuple[str, ...]
    people: tuple[str, ...]

    @property
    def anchors(self) -> dict[str, str]:
        """Data set -> by what links lead to its leaderboard: letters, digits and dashes, each different."""
        found: dict[str, str] = {}
        for made in self.boards:
            name = re.sub(r"[^0-9A-Za-z_]+", "-", made.label).strip("-")
            taken = sum(other == name or other.startswith(f"{name}--") for other in found.values())
            found[made.dataset] = f"{name}--{taken + 1}" if taken else name
        return found


def gather(
    request: Request,
    failures: Sequence[Result] = (),
    problems: Sequence[str] = (),
    with_images: bool = False,
    options: Sequence[str] = (),
) -> Document:
    """All that the report says of stored cells.

    failures: failed cells.  problems: a line for each file that cannot be read.  options: words that commands need to
    find the same store and plug-ins.  UsageError where there is no cell of what is asked for.
    """
    every = (*request.results, *failures)
    names = Aliases(dict.fromkeys(name for r in every for name in (r.cell.dataset, r.cell.method)))
    known = list(dict.fromkeys([*datasets_of(request.results, request.seed), *(r.cell.dataset for r in failures)]))
    chosen = select(request.datasets, known, "data set") if request.datasets and known else known
    request = replace(request, datasets=chosen if request.datasets else ())
    boards = leaderboards(request, chosen, names)
    if not boards:
        raise UsageError(nothing(request))
    cells = of_boards(request, boards)
    book = ledger(cells, names, options)
    shown = images(request, boards) if with_images else []
    failed = [r for r in of_choice(request, failures) if r.cell.dataset in chosen]
    people = {picture.dataset for picture in shown if picture.source}
    return Document(
        tuple(boards),
        {one.dataset: chart(one) for one in boards},
        tuple(tables(request)),
        tuple(figures(request)),
        tuple(shown),
        book,
        tuple(troubles(request, failed, book, problems, names, options)),
        len(cells),
        max((day for r in cells if (day := r.finished.computed.date[:10]) and DAY.fullmatch(day)), default=""),
        choice(request),
        tuple(one.label for one in boards if one.dataset in people and not drawn(one.dataset)),
    )


def leaderboards(request: Request, datasets: Sequence[str], names: Aliases) -> list[Board]:
    """Those of the data sets that have finished cells; UsageError for a method that none of them has."""
    groups = Groups(request.results)
    own = {d: patterns_of(main_kind(d), groups, [d], request) for d in datasets}
    for pattern in request.methods:
        if not any(pattern in patterns for patterns in own.values()):
            known = dict.fromkeys(method for d in datasets for method in groups.methods(d, request.seed))
            raise unknown("finished cell of", pattern, list(known)) if known else UsageError(nothing(request))
    made = [
        board(request.results, d, names(d), request.seed, patterns, request.profile)
        for d, patterns in own.items()
        if patterns or not request.methods
    ]
    return [one for one in made if one.measured]


def patterns_of(kind: TableKind, groups: Groups, datasets: Sequence[str], request: Request) -> list[str]:
    """Those of the methods asked for that a table has rows of: printed ones or, where it is open, any."""
    wanted = [m for m in request.methods if kind.open or matching(m, printed_methods(kind))]
    return [m for m in wanted if any(rows_of(kind, groups, d, request.seed, [m]) for d in datasets)]


def choice(request: Request) -> tuple[str, ...]:
    """What the report was asked for beyond everything, in words."""
    words = [f"data sets {', '.join(request.datasets)}"] if request.datasets else []
    words += [f"methods {', '.join(request.methods)}"] if request.methods else []
    words += [f"schedule {request.profile}"] if request.profile else []
    words += [f"seed {request.seed}"] if request.seed else []
    return tuple(words)


def of_choice(request: Request, results: Sequence[Result]) -> list[Result]:
    """The cells of the seed, schedule and methods that the report is about, stale ones among them."""
    own = [r for r in results if r.cell.seed == request.seed]
    own = [r for r in own if request.profile in (None, r.cell.profile) or not has_schedule(r.cell.method)]
    names = list(dict.fromkeys(r.cell.method for r in own))
    wanted = {name for pattern in request.methods for name in matching(pattern, names)} if request.methods else {*names}
    return [r for r in own if r.cell.method in wanted]


def of_boards(request: Request, boards: Sequence[Board]) -> list[Result]:
    """Likewise finished ones, of the leaderboards' data sets, and those that their rows are parts of."""
    datasets = {made.dataset for made in boards}
    rows = {r.path for made in boards for _, group in made.measured for r in group.results.values()}
    rows |= {r.path for r in of_choice(request, request.results) if r.cell.dataset in datasets}
    return [r for r in request.results if r.path in rows]


def tables(request: Request) -> list[TableShown]:
    """The tables of the paper that have a cell of what is asked for."""
    groups, found = Groups(request.results), []
    for kind in table_kinds().values():
        own = patterns_of(kind, groups, groups.datasets(request.seed), request)
        if request.methods and not own:
            continue
        try:
            table = make_table(kind, request.results, request.datasets, request.seed, own, request.profile)
        except UsageError:  # of a table that knows none of the data sets
            continue
        if any(entry.group for entry in table.entries.values()):
            found.append(TableShown(kind, Markup(as_html(table, with_published=True))))
    return found


def render(document: Document) -> str:
    """The file's content; equal for equal cells."""
    style, script = (
        files("bench.document").joinpath("page", name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    environment = Environment(
        loader=PackageLoader("bench.document", "page"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"as_data": as_data, "verdicts": verdicts, "counted": counted, "in_short": in_short}
    return environment.get_template("page.html").render(
        document=document,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        style_hash=digest(style),
        script_hash=digest(script),
    )


def shown(value: object) -> object:
    """Text in which whatever cannot be seen stands as an escape; markup as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def verdicts(made: Against) -> list[list[dict[str, object] | None]]:
    """What the script needs of the comparisons."""
    return [[vars(one) if one else None for one in row] for row in made.verdicts]


def as_data(value: object) -> Markup:
    """JSON for a script element, which nothing in it can end."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def digest(text: str) -> str:
    """By which a content security policy knows a style or a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
