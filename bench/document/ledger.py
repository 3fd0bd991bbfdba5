"""Where every number is from, cell by cell, and what is failed, stale, unreadable or not there."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bench.engine.freshness import as_now, stale
from bench.engine.identity import Cell
from bench.engine.record import Computed, Sizes
from bench.engine.store import Result
from bench.errors import counted
from bench.figures.request import Request
from bench.report.groups import Groups, schedule_of
from bench.report.names import Aliases, matching
from bench.report.one import command
from bench.report.published import published, table_kinds


@dataclass(frozen=True)
class Entry:
    """One finished cell.  environment: its number among those of the ledger, from 1.  verified: in words."""

    split: int
    rank1: float
    map: float
    seconds: float
    date: str
    commit: str
    environment: int
    fingerprint: str
    verified: str
    store: str


@dataclass(frozen=True)
class Account:
    """The cells of one row: they differ in their split alone.

    dataset, method: as they are printed.  command: computes them.
    """

    dataset: str
    method: str
    profile: str
    command: str
    data: str
    weights: tuple[str, ...]
    sizes: str
    stale: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Ledger:
    accounts: tuple[Account, ...]
    environments: tuple[str, ...]


@dataclass(frozen=True)
class Trouble:
    """What is not as it should be.

    state: ``failed``, ``stale``, ``unreadable``, ``not measured``.  dataset, method: as they are printed.
    """

    state: str
    dataset: str
    method: str
    why: str
    command: str = ""


def ledger(results: Sequence[Result], names: Aliases, options: Sequence[str] = ()) -> Ledger:
    """The accounts of all finished cells, in order of data set, method and schedule, and what computed them.

    options: words that commands need to find the same store and plug-ins.
    """
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(as_now(result).row, []).append(result)
    places: dict[str, int] = {}
    accounts = []
    ordered = sorted(rows.values(), key=lambda own: (own[0].cell.dataset, own[0].cell.method, own[0].cell.profile))
    for own in ordered:
        own.sort(key=lambda result: result.cell.split)
        cell = own[0].cell
        entries = tuple(
            entry(result, places.setdefault(environment(result.finished.computed), len(places) + 1)) for result in own
        )
        accounts.append(
            Account(
                names(cell.dataset),
                names(cell.method),
                schedule_of(cell),
                command_of(own, options),
                cell.data,
                cell.weights,
                sizes([result.finished.sizes for result in own]),
                tuple(stale(own[0])),
                entries,
            )
        )
    return Ledger(tuple(accounts), tuple(places))


def entry(result: Result, environment: int) -> Entry:
    record, computed = result.finished, result.finished.computed
    verified = ""
    if record.verified:
        last = record.verified[-1]
        how = "exactly" if last.difference == 0 else f"within {100 * last.difference:.2g} points"
        verified = f"split {last.split} again on {last.date[:10]}, {how}"
    return Entry(
        result.cell.split,
        100 * record.cmc[0],
        100 * record.map,
        record.cost["total_seconds"],
        computed.date,
        computed.commit or "",
        environment,
        result.cell.fingerprint,
        verified,
        result.origin,
    )


def environment(computed: Computed) -> str:
    """Machine, device and versions in one line."""
    parts = [computed.machine, counted(computed.threads, "thread")]
    parts += [f"networks on {computed.device}"] if computed.device else []
    parts += [computed.precision] if computed.precision else []
    return ", ".join([*parts, *(f"{name} {version}" for name, version in sorted(computed.libraries.items()))])


def sizes(found: Sequence[Sizes]) -> str:
    """How many people and images, from the least to the most of any split."""

    def span(name: str) -> str:
        numbers = [getattr(one, name) for one in found]
        low, high = min(numbers), max(numbers)
        return f"{low:,}" if low == high else f"{low:,}-{high:,}"

    train, test, probes, gallery = map(span, ("train_people", "test_people", "probes", "gallery_images"))
    return f"people: {train} for training, {test} for test; images for test: {probes} probes, {gallery} in the gallery"


def command_of(own: Sequence[Result], options: Sequence[str] = ()) -> str:
    """What computes the cells of a row."""
    cell = own[0].cell
    return command(cell.method, cell.dataset, [r.cell.split for r in own], cell.seed, cell.profile, options)


def troubles(
    request: Request,
    failures: Sequence[Result],
    book: Ledger,
    problems: Sequence[str],
    names: Aliases,
    options: Sequence[str] = (),
) -> list[Trouble]:
    """Failed cells, stale rows, what the paper prints and nobody has measured here, and unreadable files."""
    done = {place(result.cell) for result in request.results}
    found = []
    for result in failures:
        if place(result.cell) not in done:
            cell, error = result.cell, result.failure.error if result.failure else ""
            why = f"split {cell.split}: {error}"
            found.append(Trouble("failed", names(cell.dataset), names(cell.method), why, command_of([result], options)))
    current = {
        (a.dataset, a.method, a.profile, entry.split) for a in book.accounts if not a.stale for entry in a.entries
    }
    for account in book.accounts:
        own = {(account.dataset, account.method, account.profile, entry.split) for entry in account.entries}
        if account.stale and not own <= current:
            why = "; ".join(account.stale)
            found.append(Trouble("stale", account.dataset, account.method, why, f"{account.command} --force"))
    found += not_measured(request, names, options)
    return [*found, *(Trouble("unreadable", "", "", line) for line in problems)]


def place(cell: Cell) -> tuple[str, str, int, int, str]:
    """What a finished cell and an earlier failure of it have in common."""
    return cell.dataset, cell.method, cell.split, cell.seed, cell.profile


def not_measured(request: Request, names: Aliases, options: Sequence[str]) -> list[Trouble]:
    """Rows of the paper's tables without a finished cell; as one where a data set has none at all."""
    groups = Groups(request.results)
    there = groups.datasets(request.seed)
    rows = [(p.dataset, p.method) for p in published() if p.table in table_kinds()]
    of = f" of schedule {request.profile}" if request.profile else ""
    found: dict[tuple[str, str], Trouble] = {}
    for dataset, method in dict.fromkeys(rows):
        if request.datasets and dataset not in request.datasets:
            continue
        if request.methods and not any(matching(pattern, [method]) for pattern in request.methods):
            continue
        if dataset not in there:
            why = "printed in the paper, no finished cell here; `doctor` says how to get its images"
            run = f"python -m bench doctor {shlex.quote(dataset)}"
            found[dataset, ""] = Trouble("not measured", dataset, "", why, run)
        elif not groups.find(dataset, method, request.seed, request.profile):
            run = command(method, dataset, (), request.seed, request.profile, options)
            why = f"printed in the paper, no finished cell{of} here"
            found[dataset, method] = Trouble("not measured", names(dataset), names(method), why, run)
    return list(found.values())
