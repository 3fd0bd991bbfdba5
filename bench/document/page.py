"""The page itself: what was measured, put into the template; style, script and pictures are part of the file."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.document.against import Against
from bench.document.boards import Board, board, datasets_of, main_datasets
from bench.document.curves import Chart, chart
from bench.document.ledger import Ledger, Trouble, ledger, troubles
from bench.document.pictures import Picture, figures, images
from bench.engine.store import Result
from bench.errors import UsageError, counted, visible
from bench.figures.looks import COLOURS
from bench.figures.people import drawn
from bench.figures.request import Request
from bench.figures.rows import nothing
from bench.report.groups import has_schedule
from bench.report.html import as_html
from bench.report.names import Aliases, matching, select
from bench.report.published import table_kinds
from bench.report.tables import make_table


@dataclass(frozen=True)
class TableShown:
    """A table of the paper."""

    name: str
    title: str
    html: Markup

    @property
    def heading(self) -> str:
        return f"Table {self.name}: {self.title}"


@dataclass(frozen=True)
class Document:
    """What the report says.  charts: by data set.  shown: the data sets whose images it shows."""

    boards: tuple[Board, ...]
    charts: dict[str, Chart | None]
    tables: tuple[TableShown, ...]
    figures: tuple[Picture, ...]
    images: tuple[Picture, ...]
    ledger: Ledger
    troubles: tuple[Trouble, ...]
    cells: int
    newest: str
    people: tuple[str, ...] = ()

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
    request: Request, failures: Sequence[Result] = (), problems: Sequence[str] = (), with_images: bool = False
) -> Document:
    """All that the report says of stored cells.

    failures: failed cells.  problems: a line for each file that cannot be read.  UsageError where there is no cell of
    what is asked for.
    """
    known = datasets_of(request.results, request.seed)
    if not known:
        raise UsageError(nothing(request))
    chosen = select(request.datasets, known, "data set") if request.datasets else known
    make = partial(board, request.results, seed=request.seed, methods=request.methods, profile=request.profile)
    boards = [made for made in map(make, chosen) if made.measured]
    if not boards:
        raise UsageError(nothing(request))
    cells, failed = (asked_for(request, some, boards) for some in (request.results, failures))
    names = Aliases(dict.fromkeys(name for r in (*cells, *failed) for name in (r.cell.dataset, r.cell.method)))
    book = ledger(cells, names)
    there = {made.dataset for made in boards}
    missing = [] if request.datasets else [dataset for dataset in main_datasets() if dataset not in there]
    shown = images(request, boards) if with_images else []
    return Document(
        tuple(boards),
        {made.dataset: chart(made) for made in boards},
        tuple(tables(request)),
        tuple(figures(request)),
        tuple(shown),
        book,
        tuple(troubles(failed, book.accounts, boards, missing, problems, names)),
        len(cells),
        max(result.finished.computed.date for result in cells)[:10],
        tuple(b.label for b in boards if not drawn(b.dataset)) if any(p.source for p in shown) else (),
    )


def asked_for(request: Request, results: Sequence[Result], boards: Sequence[Board]) -> list[Result]:
    """The cells of the data sets, methods and schedule that the report is about, stale ones among them."""
    datasets = {made.dataset for made in boards}
    own = [r for r in results if r.cell.seed == request.seed and r.cell.dataset in datasets]
    own = [r for r in own if request.profile in (None, r.cell.profile) or not has_schedule(r.cell.method)]
    names = list(dict.fromkeys(r.cell.method for r in own))
    wanted = {name for pattern in request.methods for name in matching(pattern, names)}
    return [r for r in own if r.cell.method in wanted] if request.methods else own


def tables(request: Request) -> list[TableShown]:
    """The tables of the paper that have a cell of what is asked for."""
    found = []
    for kind in table_kinds().values():
        try:
            table = make_table(kind, request.results, request.datasets, request.seed, request.methods, request.profile)
        except UsageError:  # of a table that knows none of the names
            continue
        if any(entry.group for entry in table.entries.values()):
            found.append(TableShown(kind.name, kind.title, Markup(as_html(table, with_published=True))))
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
    environment.filters |= {"as_data": as_data, "verdicts": verdicts, "counted": counted}
    return environment.get_template("page.html").render(
        document=document,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        style_hash=digest(style),
        script_hash=digest(script),
        colours=len(COLOURS),
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
