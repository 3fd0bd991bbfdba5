"""Computing cells: in parallel, resumable, each failure its own."""

import itertools
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from bench import budget
from bench.budget import OutOfTime
from bench.engine import contract
from bench.engine.beforehand import check_contracts, on_devices, prepare
from bench.engine.cell import Outcome, evaluate
from bench.engine.identity import source_of
from bench.engine.isolation import isolated
from bench.engine.plan import Settings, Task, has_profiles
from bench.engine.provenance import computed, peak_memory, reset_peak_memory
from bench.engine.record import Failure, Record
from bench.engine.store import cannot_write
from bench.engine.todo import duration, with_expected
from bench.engine.workers import ending_workers, spread
from bench.errors import StorageError
from bench.plugin.locate import describe

if TYPE_CHECKING:
    from bench.engine.fleet import Fleet
    from bench.engine.remote import How

DEVICE_WAIT = 1.0  # seconds between two looks for a free GPU
BUSY_WAIT = 1.0  # seconds between two tries of cells that another run computes


@dataclass(frozen=True)
class Done:
    """How one task ended.

    rank1: in [0, 1], when it succeeded.  error: when not.  busy: another run computes it.  left: it ran out of time.
    """

    task: Task
    seconds: float
    rank1: float | None = None
    error: str | None = None
    busy: bool = False
    left: bool = False


def run_task(task: Task, settings: Settings, wait: bool, how: "How | None" = None) -> Done:
    """Compute and store one cell.  wait: wait for another run that computes the same cell, rather than report it.
    how: by default `compute`.

    Near the end of a budget trainings are begun all the same, for they go on from their checkpoints later; others only
    where they are expected to end in time.
    """
    if budget.spent(0.0 if has_profiles(task.method) else task.expected):
        return Done(task, 0.0, left=True)
    lock = settings.store.lock(task.cell)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return Done(task, 0.0, busy=True)
    except OSError as error:
        raise cannot_write(settings.store.folder, error) from error
    try:
        return run_locked(task, settings, how or compute)
    except OutOfTime:
        return Done(task, 0.0, left=True)
    finally:
        lock.release()


def run_locked(task: Task, settings: Settings, how: "How") -> Done:
    store, cell = settings.store, task.cell
    if not (settings.force or task.again) and (found := settings.find(cell, task.at_place is not None)):
        return Done(task, 0.0, found.finished.cmc[0])
    start = time.perf_counter()
    outcome = how(task, settings, store.workspace(cell))
    if not isinstance(outcome, Failure):
        record, given = outcome
        try:
            enhancers = given.enhancers if cell.split in settings.enhancers else {}
            store.put(cell, record, given.distances, enhancers, task.at_place)
        except StorageError:
            raise
        except Exception as error:  # whatever a plug-in says of itself may be what cannot be stored
            message = f"the cell cannot be stored: {describe(error)}"
            outcome = Failure(message, record.computed, where_from())
        else:
            store.remove_workspaces(cell)
            return Done(task, record.cost["total_seconds"], record.cmc[0])
    store.put_failure(cell, outcome)
    return Done(task, time.perf_counter() - start, error=outcome.error)


def compute(task: Task, settings: Settings, workspace: Path | None = None) -> tuple[Record, Outcome] | Failure:
    """Compute one cell, or say why it failed.  workspace: of checkpoints; None keeps none and goes on from none."""
    cell, trained = task.cell, has_profiles(task.method)
    threads = settings.threads or (max(1, (os.cpu_count() or 1) // settings.jobs) if trained else 1)
    where, precision = "", ""
    reset_peak_memory()
    start = time.perf_counter()
    try:
        # BLAS gets one thread even where torch gets several: its threads and those of other processes fight for cores.
        with (
            isolated(),
            threadpool_limits(1, user_api="blas" if trained else None),
            torch_threads(threads if trained else None),
            free_device(settings) as device,
        ):
            if trained:
                from bench.learning.precision import auto_precision

                where, precision = device, auto_precision(device)
            setup = replace(settings.setup(cell, device, workspace), threads=threads)
            outcome = evaluate(cell, task.method, task.data, settings.cache, setup)
            kept = contract.passed(task.method, settings.cache)
        cost = {
            "total_seconds": round(time.perf_counter() - start, 4),
            "peak_memory_mib": round(peak_memory(), 1),
        }
        origin = computed(threads, source_of(cell.method), where, precision)
        return outcome.record(origin, cost, kept), outcome
    except (KeyboardInterrupt, StorageError):
        raise
    except BaseException as error:  # whatever a plug-in raises, SystemExit too, is this cell's failure and no other's
        return Failure(describe(error), computed(threads, source_of(cell.method), where, precision), where_from())


def where_from() -> str:
    """The traceback of the error at hand, as text that can be stored: a message may hold halves of characters."""
    return traceback.format_exc().encode(errors="backslashreplace").decode()


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """As `bench.learning.device.torch_threads`, which is not imported for None."""
    if threads is None:
        yield
        return
    from bench.learning import device

    with device.torch_threads(threads):
        yield


@contextmanager
def free_device(settings: Settings) -> Iterator[str]:
    """A place for a cell on a device of the run's, on those with fewest cells first; waits where all are taken.

    A single device is simply shared by whoever wants it.
    """
    if len(settings.devices) == 1:
        yield settings.devices[0]
        return
    while not budget.spent():
        for place, device in itertools.product(range(settings.sharing), settings.devices):
            lock = settings.store.device_lock(f"{device}-{place}")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield device
                return
            finally:
                lock.release()
        time.sleep(DEVICE_WAIT)
    raise OutOfTime


def execute(tasks: Sequence[Task], settings: Settings, fleet: "Fleet | None" = None) -> Iterator[Done]:
    """Run tasks as they come, then those that another run was busy with; each ends as one Done.

    fleet: where they are computed, in place of processes of this machine."""
    if fleet:
        yield from execute_elsewhere(tasks, settings, fleet)
        return
    on_gpu = [task for task in tasks if list(settings.devices) != ["cpu"] and has_profiles(task.method)]
    others = [task for task in tasks if task not in on_gpu]
    # As many trainings at a time as there are places on GPUs; the rest needs processors only.
    places = replace(settings, jobs=min(settings.jobs, settings.sharing * len(settings.devices)))
    for some, how in ((others, settings), (on_gpu, places)):
        busy = []
        for done in run_all(some, how, wait=False):
            if done.busy:
                busy.append(done.task)
            else:
                yield done
        yield from run_all(busy, how, wait=True)


def execute_elsewhere(tasks: Sequence[Task], settings: Settings, fleet: "Fleet") -> Iterator[Done]:
    """Likewise on workers, none of which waits for another run."""
    while tasks:
        busy = []
        for done in fleet.spread(partial(run_task, wait=False), tasks, settings):
            if done.busy:
                busy.append(done.task)
            else:
                yield done
        tasks = busy
        time.sleep(BUSY_WAIT if busy else 0)


def run_all(tasks: Sequence[Task], settings: Settings, wait: bool) -> Iterator[Done]:
    settings = replace(settings, jobs=max(1, min(settings.jobs, len(tasks))))
    if settings.jobs == 1:
        yield from (run_task(task, settings, wait) for task in tasks)
    else:
        yield from spread(partial(run_task, wait=wait), tasks, settings, ordered=False)


@contextmanager
def workers_elsewhere(tasks: Sequence[Task], settings: Settings) -> Iterator["Fleet | None"]:
    """As `bench.engine.fleet.connected`, whose libraries are not imported for a run on this machine."""
    if settings.remote is None:
        yield None
        return
    from bench.engine.fleet import connected

    with connected(tasks, settings, settings.remote) as fleet:
        yield fleet


@dataclass
class Report:
    """What a run did: tasks that finished, that failed, and that are left for want of time."""

    finished: list[Done] = field(default_factory=list)
    failed: list[Done] = field(default_factory=list)
    left: list[Task] = field(default_factory=list)


def run(tasks: Sequence[Task], settings: Settings, report: Report | None = None) -> Report:
    """Run the tasks with a line each, and on a terminal a progress bar; `jobs` processes, any order.

    report: the one to fill in, for whoever wants it when the run breaks off."""
    report = report or Report()
    total, start = len(tasks), time.perf_counter()
    if not tasks:
        return report
    settings = on_devices(settings, tasks)
    if settings.budget:
        tasks = with_expected(tasks, settings)
    bar = tqdm(total=total, unit="cell", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)
    with suppress(OutOfTime), bar, ending_workers(), workers_elsewhere(tasks, settings) as fleet:
        bar.set_description("contract")
        for line in check_contracts(tasks, settings):
            with tqdm.external_write_mode():
                print(line, flush=True)
        if not fleet:  # whose workers have caches of their own
            bar.set_description("shared features")
            prepare(tasks, settings)
        bar.set_description("cells")
        for count, done in enumerate(execute(tasks, settings, fleet), 1):
            if done.left:
                continue
            if done.error is None:
                report.finished.append(done)
                outcome = f"rank-1 {100 * (done.rank1 or 0):.1f} %"
            else:
                report.failed.append(done)
                outcome = f"FAILED: {done.error}"
            left = duration((time.perf_counter() - start) / count * (total - count))
            bar.update()
            with tqdm.external_write_mode():
                print(f"[{count}/{total}] {done.task.cell}: {outcome} ({done.seconds:.1f} s; {left} left)", flush=True)
    ended = {done.task.cell for done in (*report.finished, *report.failed)}
    report.left = [task for task in tasks if task.cell not in ended]
    return report
