"""What runs on a Dask worker for a run elsewhere: saying what it is, taking data, and computing cells in a child."""

import hashlib
import os
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from distributed import get_worker

from bench import __version__, budget
from bench.budget import Budget, OutOfTime
from bench.engine.cache import Cache, cache_folder
from bench.engine.cell import Outcome
from bench.engine.child import Child, ChildDied
from bench.engine.data import Data
from bench.engine.identity import Cell, source_of
from bench.engine.isolation import isolated
from bench.engine.plan import Settings, Task, has_profiles, initial_weights
from bench.engine.provenance import git_commit, libraries
from bench.engine.record import Failure, Record
from bench.engine.run import compute
from bench.engine.shipping import Bare, Order, Run, Sent, complete, found, here, receive
from bench.engine.store import Store
from bench.errors import BenchError
from bench.plugin.outside import VARIABLE as PLUGINS
from bench.plugin.registry import PACKAGE, ROOT
from bench.plugin.spec import method_spec
from bench.plugin.weights_files import VARIABLE as WEIGHTS

CODE = "code"
"""The name of the hash of our own source among the versions of a worker."""

children: dict[str, Child] = {}
"""By run."""
finished: dict[str, Cell] = {}
"""By run, the cell that was computed last, whose checkpoints are kept until it is stored."""
over: set[str] = set()
"""Runs that have ended: what of them still waits is not begun."""
held: dict[str, Data] = {}
"""In the child: data sets by digest."""
starting = threading.Lock()
turn = threading.Lock()
"""One cell at a time on each worker, whichever run it is of."""


@dataclass(frozen=True)
class Missing:
    """A cell cannot be computed before the worker has its data."""


@dataclass(frozen=True)
class Stopped:
    """A cell ran out of time; what its trainings reached is kept."""

    where: str


Answer = tuple[Record, Outcome] | Failure | Missing | Stopped


def about() -> dict[str, str]:
    """Versions that must be those of the run: of Python, of what numbers come from, and of our own code."""
    return {**libraries(), "bench": __version__, CODE: code(), "commit": git_commit() or "none"}


@cache
def code() -> str:
    """Short hash of every module of ours: the harness, methods and data sets."""
    found = hashlib.sha256()
    for folder, inside in ((PACKAGE, "**/*.py"), (ROOT / "methods", "*.py"), (ROOT / "datasets", "*.py")):
        for path in sorted(folder.glob(inside)):
            if "_tree" not in path.relative_to(folder).parts:
                found.update(f"{folder.name}/{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def child_of(run: str, plugins: tuple[str, ...]) -> Child:
    """The process that computes a run's cells here.  plugins: the run's folders of them.

    Where they are not seen here, those that this machine's environment names hold.
    """
    with starting:
        if run in over:
            raise ChildDied
        child = children.get(run)
        if child is None or child.process.poll() is not None:
            seen = plugins and all(Path(folder).is_dir() for folder in plugins)
            child = children[run] = Child({PLUGINS: os.pathsep.join(plugins)} if seen else {})
        return child


def lacks(run: Run) -> str:
    """What a run needs and this worker has not, in a line; empty where it has all."""
    return child_of(run.name, run.plugins).call(lacking, run)


def has_data(run: Run, sought: Bare) -> bool:
    """Whether the worker has a data set now, or can read it from files."""
    return child_of(run.name, run.plugins).call(hold, sought)


def take_block(run: Run, sought: str, length: int, start: int, block: bytes) -> None:
    receive(sought, length, start, block, Cache(cache_folder()), f"{run.name}-{os.getpid()}")


def take_all(run: Run, sought: str, pixels: str) -> bool:
    return complete(sought, pixels, Cache(cache_folder()), f"{run.name}-{os.getpid()}")


def compute_order(run: Run, order: Order) -> Answer:
    """Compute a cell.  ChildDied where its process was killed."""
    with turn:
        forget(run)  # the run asks for its next cell once the last one is stored
        found = child_of(run.name, run.plugins).call(computed, run, order, run.memory or own_memory())
        if isinstance(found, tuple):
            finished[run.name] = order.cell
        return found


def own_memory() -> int | None:
    """Half of what Dask gives this worker, in bytes; None where that is no limit."""
    limit: int | None = get_worker().memory_manager.memory_limit
    return limit and limit // 2


def forget(run: Run) -> None:
    """Remove the checkpoints of a cell that is stored."""
    if cell := finished.pop(run.name, None):
        workspaces(run).remove_workspaces(cell)


def end_run(run: Run, stored: bool) -> None:
    """End what a run is busy with here.  stored: whether what was computed last is."""
    if stored:
        forget(run)
    with starting:
        over.add(run.name)
        child = children.pop(run.name, None)
    if child:
        child.end()


def workspaces(run: Run) -> Store:
    """Where trainings of a run keep checkpoints: in the cache, by the store that its results go to."""
    return Store(cache_folder() / "trainings" / run.store)


def lacking(run: Run) -> str:
    """`lacks`, in the child."""
    weights = here(run.weights, WEIGHTS)
    try:
        for need in run.needs:
            with isolated():
                spec = method_spec(need.method)
                if source_of(need.method) != need.source:
                    return f"its code of {need.method} is another"
                if initial_weights(spec, weights, need.profile) != need.weights:
                    return f"its weights files of {need.method} are others (by their SHA-256)"
                if has_profiles(spec):
                    resolve_device(run.device)
    except BenchError as error:
        return str(error)
    return ""


def resolve_device(device: str) -> str:
    """The worker's own device, the first GPU that it sees or the CPU."""
    from bench.learning import device as places

    return places.devices(places.resolve_device(device))[0]


def hold(sought: Bare) -> bool:
    """`has_data`, in the child."""
    data = found(sought, Cache(cache_folder()))
    if data is not None:
        held[sought.data.digest] = data
    return data is not None


def computed(run: Run, order: Order, memory: int | None) -> Answer:
    """`compute_order`, in the child."""
    data = held.get(order.data)
    if data is None:
        return Missing()
    cell = order.cell
    with isolated():
        method = method_spec(order.method)
    trained = has_profiles(method)
    settings = Settings(
        store=workspaces(run),
        cache=Cache(cache_folder()),
        root=None,
        threads=order.threads,
        devices=(resolve_device(run.device) if trained else "cpu",),
        weights=here(run.weights, WEIGHTS),
        memory=memory,
        compile=run.compile,
        deterministic=run.deterministic,
    )
    now = time.monotonic()
    with budget.shared(order.left and Budget(*(now + seconds for seconds in order.left))):
        try:
            task = Task(cell, method, Sent(**vars(data), given=order.split))
            return compute(task, settings, settings.store.workspace(cell))
        except OutOfTime as error:
            return Stopped(str(error))
