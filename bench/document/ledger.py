"""Where every number is from, cell by cell, and what is failed, stale, unreadable or not there."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bench.document.boards import PRINTED, Board
from bench.engine.freshness import as_now, stale
from bench.engine.record import Computed
from bench.engine.store import Result
from bench.errors import counted
from bench.report.groups import has_schedule
from bench.report.names import Aliases
from bench.report.notes import ranges


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


def ledger(results: Sequence[Result], names: Aliases) -> Ledger:
    """The accounts of all finished cells, in order of data set, method and schedule, and what computed them."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        if not result.failed:
            rows.setdefault(as_now(result).row, []).append(result)
    places: dict[str, int] = {}
    accounts = []
    ordered = sorted(rows.values(), key=lambda own: (own[0].cell.dataset, own[0].cell.method, own[0].cell.profile))
    for own in ordered:
        own.sort(key=lambda result: result.cell.split)
        cell, record = own[0].cell, own[0].finished
        entries = tuple(
            entry(result, places.setdefault(environment(result.finished.computed), len(places) + 1)) for result in own
        )
        sizes = record.sizes
        accounts.append(
            Account(
                names(cell.dataset),
                names(cell.method),
                cell.profile,
                command(own),
                cell.data,
                cell.weights,
                f"{sizes.train_people:,} people for training and {sizes.test_people:,} for test,"
                f" {counted(sizes.probes, 'probe')}, {counted(sizes.gallery_images, 'gallery image')}",
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
        how = "exactly" if last.difference == 0 else f"within {100 * last.difference:.1f} points"
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


def command(own: Sequence[Result]) -> str:
    """What computes the cells of a row."""
    cell = own[0].cell
    words = ["-m", cell.method, "-d", cell.dataset, "--splits", ranges(result.cell.split for result in own)]
    words += ["--seed", str(cell.seed)] if cell.seed else []
    words += ["--profile", cell.profile] if has_schedule(cell.method) else []
    return f"python -m bench run {shlex.join(words)}"


def troubles(
    failures: Sequence[Result],
    accounts: Sequence[Account],
    boards: Sequence[Board],
    missing: Sequence[str],
    problems: Sequence[str],
    names: Aliases,
) -> list[Trouble]:
    """Failed cells, stale rows, what the paper prints and nobody has measured here, and unreadable files.

    missing: data sets of the paper that have no cell.
    """
    found = []
    for result in failures:
        cell, error = result.cell, result.failure.error if result.failure else ""
        why = f"split {cell.split}: {error}"
        found.append(Trouble("failed", names(cell.dataset), names(cell.method), why, command([result])))
    for account in accounts:
        if account.stale:
            why = "; ".join(account.stale)
            found.append(Trouble("stale", account.dataset, account.method, why, f"{account.command} --force"))
    for board in boards:
        for line in board.lines:
            if line.source == PRINTED:
                words = shlex.join(["-m", line.method, "-d", board.dataset])
                why = "printed in the paper, no finished cell here"
                found.append(Trouble("not measured", board.label, line.label, why, f"python -m bench run {words}"))
    for dataset in missing:
        why = "printed in the paper, no finished cell here; `doctor` says how to get its images"
        found.append(Trouble("not measured", dataset, "", why, f"python -m bench doctor {shlex.quote(dataset)}"))
    return [*found, *(Trouble("unreadable", "", "", line) for line in problems)]
