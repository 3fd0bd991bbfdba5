"""Which cells of a run are still to be computed, and how long that will take."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from bench.engine import freshness
from bench.engine.identity import Cell, short_hash
from bench.engine.plan import Settings, Task
from bench.engine.snapshot import Snapshot
from bench.engine.store import MEASURED, Result, Store
from bench.errors import BenchError, Unreadable, counted, listing
from bench.plugin.grammar import split_text


@dataclass
class Todo:
    """What of some tasks is to be computed.

    pending: in order.  finished: how many are stored.  renewed: those of `pending` that have stale cells, which are
    computed again; kept: tasks whose stale cells stay.  reasons: what changed, in words.  problems: a line for each
    result file that cannot be read.
    """

    pending: list[Task] = field(default_factory=list)
    finished: int = 0
    renewed: list[Task] = field(default_factory=list)
    kept: list[Task] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def first_line(self) -> str:
        """What becomes of stale cells and why; empty where there are none."""
        why = listing(self.reasons, most=3)
        parts = []
        if self.renewed:
            names = listing(list(dict.fromkeys(task.cell.method for task in self.renewed)))
            parts.append(f"{counted(len(self.renewed), 'stale cell')} of {names} to run again: {why}")
        if self.kept:
            cells = counted(len(self.kept), "cell")
            verb = "is" if len(self.kept) == 1 else "are"
            parts.append(f"{cells} {verb} stale and kept{'' if parts else f' ({why})'}; --force runs them again")
        return "; ".join(parts)


def todo(tasks: Sequence[Task], settings: Settings) -> Todo:
    """Which tasks have no finished cell yet (all of them with `force`).

    A stale cell, of other versions or options than the code has now, and one of the user's own whose method has been
    edited, is computed again where its method was given by name, and kept otherwise and where `keep` says so.
    """
    result = Todo()
    own_store, others = Snapshot(settings.store.folder), [Snapshot(store.folder) for store in settings.others]
    settings = replace(settings, store=own_store, others=others)
    measured = [store.folder for store in settings.stores if store.folder.resolve().is_relative_to(MEASURED)]
    for task in tasks:
        try:
            found = settings.find(task.cell)
            own = found and not any(found.path.is_relative_to(folder) for folder in measured)
            reasons, again = freshness.edited(found) if found and own else [], bool(found)
            if found and not reasons and not settings.force:
                result.finished += 1
                continue
        except BenchError as error:
            if not (settings.force and isinstance(error, Unreadable)):
                result.problems.append(str(error))
                continue
            reasons, again = [], True
        reasons = reasons or stale_reasons(task.cell, settings)
        result.reasons += [reason for reason in reasons if reason not in result.reasons]
        if reasons and not settings.force and (settings.keep or not task.named):
            result.kept.append(task)
            continue
        here = tuple(own_store.at_place(task.cell))
        result.pending.append(replace(task, again=again, at_place=here))
        if reasons:
            result.renewed.append(task)
    return result


def stale_reasons(cell: Cell, settings: Settings) -> list[str]:
    """What has changed since cells of other versions at a cell's place were computed; empty without any."""
    others = [other for store in settings.stores for other in store.others(cell)]
    return [reason for other in others if other.cell.weights == cell.weights for reason in freshness.stale(other)]


def duration(seconds: float) -> str:
    """``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@dataclass(frozen=True)
class Expected:
    """What one cell takes by stored ones.  seconds: their median; memory: their largest peak in MiB, 0 where none says;
    similar: whether they are of other parameters or data."""

    seconds: float
    memory: float
    similar: bool


@dataclass(frozen=True)
class Estimate:
    """What tasks will take.  seconds: on `jobs` processes; similar: cells judged by others of their method; unknown:
    how many have nothing to be judged by; memory: MiB of the largest cell."""

    seconds: float
    similar: int
    unknown: int
    memory: float = 0.0


def expected_of(tasks: Sequence[Task], settings: Settings) -> list[Expected | None]:
    """What each task will take, from stored cells of the same method, data set and profile, of the same versions where
    there are some; where there are none, from cells of the same plug-ins and profile, whatever their parameters and
    data set; None where there are none of those either."""
    usual = usual_cost(settings.stores)

    def expected(task: Task) -> Expected | None:
        kinds = kinds_of(task.cell)
        found = next((kind for kind in kinds if kind in usual), None)
        return None if found is None else Expected(*usual[found], similar=found not in kinds[:2])

    return [expected(task) for task in tasks]


def estimate(tasks: Sequence[Task], settings: Settings) -> Estimate:
    """Expected time and memory of all tasks, as `expected_of`."""
    return together(expected_of(tasks, settings), settings.jobs)


def together(costs: Sequence[Expected | None], jobs: int) -> Estimate:
    """What tasks take in all, so many at a time."""
    known = [cost for cost in costs if cost]
    return Estimate(
        sum(cost.seconds for cost in known) / jobs,
        sum(cost.similar for cost in known),
        len(costs) - len(known),
        max((cost.memory for cost in known), default=0.0),
    )


def with_expected(tasks: Sequence[Task], settings: Settings) -> list[Task]:
    """The tasks, each with what stored cells of its method, data set and profile took."""
    found = zip(tasks, expected_of(tasks, settings), strict=True)
    return [replace(t, expected=e.seconds if e and not e.similar else 0.0) for t, e in found]


def usual_cost(stores: Sequence[Store]) -> dict[tuple[str, ...], tuple[float, float]]:
    """The median time of stored cells and their largest memory, by each of their kinds."""
    costs: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for result in finished_cells(stores):
        cost = result.finished.cost
        for kind in kinds_of(result.cell):
            costs.setdefault(kind, []).append((cost["total_seconds"], cost.get("peak_memory_mib", 0.0)))
    return {
        kind: (statistics.median(seconds for seconds, _ in values), max(memory for _, memory in values))
        for kind, values in costs.items()
    }


def finished_cells(stores: Sequence[Store]) -> Iterator[Result]:
    for store in stores:
        yield from store.read_all()[0]


def kinds_of(cell: Cell) -> list[tuple[str, ...]]:
    """What cells a cell's time is judged by, the most like it first; those of other versions may have trained less."""
    name, own = split_text(cell.method)[0], (cell.method, cell.dataset, cell.profile)
    return [(*own, short_hash(cell.depends)), own, (name, cell.dataset, cell.profile), (name, cell.profile)]
