"""Which cells a run consists of, and running them: in parallel, resumable, each failure its own."""

import fnmatch
import hashlib
import os
import re
import shutil
import signal
import statistics
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from filelock import Timeout
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from bench.engine.cache import Cache
from bench.engine.cell import Cell, Means, Outcome, View, evaluate, models
from bench.engine.data import Data, load, one_line
from bench.engine.provenance import code_hash, environment, peak_memory, reset_peak_memory
from bench.engine.store import Store
from bench.errors import BenchError, DataError, NotApplicable, UsageError
from bench.plugin.base import Dataset
from bench.plugin.grammar import split_text
from bench.plugin.registry import registry
from bench.plugin.spec import DatasetSpec, MethodSpec, check_applicable, dataset_spec, method_names, method_spec
from bench.plugin.weights_files import sha256
from bench.protocol.images import share
from bench.protocol.statistics import PAPER_SPLITS

DEVICE_WAIT = 1.0  # seconds between two looks for a free GPU

Spec = TypeVar("Spec", MethodSpec, DatasetSpec)


@dataclass(frozen=True)
class Settings:
    """What a run is asked for, as on the command line.  Empty methods or datasets: all of them; no splits: ten.

    profile: training schedule; None: each data set's own.
    devices: ``cpu``, or the GPUs that trained cells are spread over.
    weights: the folder of weights files that networks start from, None where there is none.
    compile, deterministic: as in `bench.plugin.base.Train`.
    """

    store: Store
    cache: Cache
    root: Path | None
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    splits: Sequence[int] | None = None
    seed: int = 0
    profile: str | None = None
    jobs: int = 1
    devices: Sequence[str] = ("cpu",)
    force: bool = False
    weights: Path | None = None
    compile: bool = False
    deterministic: bool = False

    def means(self, cell: Cell, device: str, workspace: Path | None = None) -> Means:
        return Means(cell.profile, device, self.weights, cell.weights, workspace, self.compile, self.deterministic)


@dataclass(frozen=True)
class Task:
    """A cell and what running it takes."""

    cell: Cell
    method: MethodSpec
    data: Data


@dataclass
class Plan:
    """The tasks of a run, and a line for everything left out with its reason."""

    tasks: list[Task] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def expand(patterns: Sequence[str], names: Sequence[str]) -> dict[str, bool]:
    """Specs that the patterns stand for -> whether each was named outright (and not by a glob).

    A glob matches names; parameters in brackets after it are kept: ``*+xqda[solver=eigh]``.
    """
    found: dict[str, bool] = {}
    for pattern in patterns:
        name, pairs = split_text(pattern)
        if not any(c in name for c in "*?"):
            found[pattern] = True
            continue
        matches = fnmatch.filter(names, name)
        if not matches:
            raise UsageError(f"nothing is called {name!r}: there is {', '.join(names)}")
        suffix = pattern[len(name) :] if pairs else ""
        for match in matches:
            found.setdefault(match + suffix, False)
    return found


def plan(settings: Settings) -> Plan:
    """Resolve names, load the data and list the cells, method by method within a split.

    UsageError for an unknown name or a pair named outright that does not go together; DataError for a data set named
    outright that is not there.
    """
    result = Plan()
    methods = resolve(method_spec, expand(settings.methods or ["*"], method_names()), result)
    datasets = resolve(dataset_spec, expand(settings.datasets or ["*"], registry().names("dataset")), result)
    for spec, named in datasets:
        chosen: list[MethodSpec] = []
        left_out: dict[str, list[str]] = {}
        for method, method_named in methods:
            try:
                check_applicable(method, spec)
                reason = unavailable(method, settings, profile_for(spec, settings))
            except NotApplicable:
                if named and method_named:
                    raise
                continue
            if reason and named and method_named:
                raise UsageError(f"{method.text} cannot run here: {reason}")
            if reason:
                left_out.setdefault(reason, []).append(method.text)
            else:
                chosen.append(method)
        without = [f"{', '.join(names)} on {spec.text}: {reason}" for reason, names in left_out.items()]
        if not chosen:
            result.skipped += without
            continue
        try:
            data = load(spec, settings.root, settings.seed, settings.cache)
            splits = chosen_splits(settings, data)
            for split in splits:
                data.split(split, settings.seed)
        except DataError as error:
            if named:
                raise
            result.skipped.append(str(error))
            continue
        result.skipped += without
        result.tasks += [
            Task(make_cell(method, data, split, settings), method, data) for split in splits for method in chosen
        ]
    return result


def chosen_splits(settings: Settings, data: Data) -> Sequence[int]:
    """The splits asked for; by default the paper's ten, or as many as there are official ones."""
    if settings.splits is not None:
        return settings.splits
    official = len(data.splits) if data.splits and not data.spec.options.split_file else PAPER_SPLITS
    return range(min(PAPER_SPLITS, official))


def resolve(parse: Callable[[str], Spec], texts: dict[str, bool], result: Plan) -> list[tuple[Spec, bool]]:
    """The specs, each with whether it was named outright; of the others those that cannot be loaded are skipped."""
    specs = []
    for text, named in texts.items():
        try:
            specs.append((parse(text), named))
        except NotApplicable as error:
            if named:
                raise
            if str(error) not in result.skipped:
                result.skipped.append(str(error))
    return specs


def profile_for(spec: DatasetSpec, settings: Settings) -> str:
    """The training schedule on a data set: the one asked for, else the data set's own."""
    return settings.profile or str(spec.dataset.attributes.get("profile", Dataset.profile))


def unavailable(method: MethodSpec, settings: Settings, profile: str) -> str | None:
    """Why the method or its front-end cannot run here, None when both can."""
    parts = (method.build_frontend(), method.build())
    return next((r for part in parts if part and (r := part.available(settings.weights, profile))), None)


def has_profiles(method: MethodSpec) -> bool:
    """Whether the training schedule matters to the method or its front-end."""
    return any(part and part.attributes.get("profiles") for part in (method.method, method.frontend))


def make_cell(method: MethodSpec, data: Data, split: int, settings: Settings) -> Cell:
    profile = profile_for(data.spec, settings)
    initial = initial_weights(method, settings.weights, profile)
    named = profile if has_profiles(method) else "paper"
    return Cell(method.text, data.spec.identity, split, settings.seed, named, data.sha256, initial)


def initial_weights(method: MethodSpec, weights: Path | None, profile: str) -> str:
    """Hash of all the weights files that a method and its front-end start from; empty where there are none."""
    parts = (method.build_frontend(), method.build())
    files = [path for part in parts if part for path in part.initial_weights(weights, profile)]
    if not files:
        return ""
    return hashlib.sha256("\n".join(file_sha256(path, path.stat().st_mtime_ns) for path in files).encode()).hexdigest()


@cache
def file_sha256(path: Path, changed: int) -> str:
    """SHA-256 of a file, read once for each time that it was changed."""
    return sha256(path)


def code_of(method: MethodSpec, dataset: DatasetSpec) -> str:
    """Hash of the code that a cell's numbers depend on."""
    modules = {"bench.engine.cell", method.method.module, dataset.dataset.module}
    return code_hash(tuple(sorted(modules | ({method.frontend.module} if method.frontend else set()))))


def todo(tasks: Sequence[Task], store: Store, force: bool) -> tuple[list[Task], list[str]]:
    """The tasks that have no finished cell yet (all of them with `force`), and a line for each unreadable result."""
    pending, problems = [], []
    for task in tasks:
        try:
            if force or store.get(task.cell) is None:
                pending.append(task)
        except BenchError as error:
            problems.append(str(error))
    return pending, problems


@dataclass(frozen=True)
class Done:
    """How one task ended: rank1 in [0, 1] when it succeeded, error when not, busy when another run computes it."""

    task: Task
    seconds: float
    rank1: float | None = None
    error: str | None = None
    busy: bool = False


def run_task(task: Task, settings: Settings, wait: bool) -> Done:
    """Compute and store one cell.  wait: wait for another run that computes the same cell, rather than report it."""
    if settings.jobs > 1:
        # Ctrl-C reaches every process of the terminal; the parent alone answers it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    lock = settings.store.lock(task.cell)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return Done(task, 0.0, busy=True)
    try:
        return run_locked(task, settings)
    finally:
        lock.release()


def run_locked(task: Task, settings: Settings) -> Done:
    store, cell = settings.store, task.cell
    if not settings.force and (found := store.get(cell)):
        return Done(task, 0.0, found.record["cmc"][0])
    start = time.perf_counter()
    computed = compute(task, settings)
    seconds = time.perf_counter() - start
    if isinstance(computed, Failure):
        store.put_failure(cell, computed.record)
        return Done(task, seconds, error=computed.message)
    outcome, provenance = computed
    cost = {**outcome.record["cost"], "total_seconds": round(seconds, 4), "peak_memory_mib": round(peak_memory(), 1)}
    store.put(cell, {**outcome.record, "cost": cost, **provenance}, outcome.distances)
    shutil.rmtree(store.workspace(cell, provenance["code"]), ignore_errors=True)
    return Done(task, seconds, outcome.record["cmc"][0])


@dataclass(frozen=True)
class Failure:
    """Why a cell could not be computed, in one line, and what is stored of it."""

    message: str
    record: dict[str, Any]


def compute(task: Task, settings: Settings) -> tuple[Outcome, dict[str, Any]] | Failure:
    """Compute one cell; what came out, and by what code, environment and number of threads."""
    cell = task.cell
    trained = has_profiles(task.method)
    threads = max(1, (os.cpu_count() or 1) // settings.jobs) if trained else 1
    reset_peak_memory()
    code = code_of(task.method, task.data.spec)
    provenance = {"code": code, "environment": environment(), "threads": threads}
    workspace = settings.store.workspace(cell, code)
    try:
        # BLAS gets one thread even where torch gets several: its threads and those of other processes fight for cores.
        with (
            threadpool_limits(1, user_api="blas" if trained else None),
            torch_threads(threads if trained else None),
            free_device(settings) as device,
        ):
            if trained:
                from bench.learning.precision import auto_precision

                provenance["auto_precision"] = auto_precision(device)
            means = settings.means(cell, device, workspace)
            return evaluate(cell, task.method, task.data, settings.cache, means), provenance
    except Exception as error:  # whatever a plug-in raises is this cell's failure and no other's
        message = str(error) if isinstance(error, BenchError) else one_line(error)
        return Failure(message, {"error": message, "traceback": traceback.format_exc(), **provenance})


@contextmanager
def free_device(settings: Settings) -> Iterator[str]:
    """A device of the run's that no other cell is on, its own until the end; waits where all are taken.

    A single device is simply shared by whoever wants it.
    """
    if len(settings.devices) == 1:
        yield settings.devices[0]
        return
    while True:
        for device in settings.devices:
            lock = settings.store.device_lock(device)
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


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch compute on so many threads, and on as many as before at the end; None leaves it alone, not imported."""
    if threads is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prepare(tasks: Sequence[Task], settings: Settings) -> None:
    """Compute what the tasks share and no split changes, features and Gram matrices, on `jobs` threads."""
    seen: set[tuple[str, str]] = set()
    for task in tasks:
        if (task.method.text, task.data.sha256) in seen:
            continue
        seen.add((task.method.text, task.data.sha256))
        frontend = task.method.frontend
        extractors = task.method.build().extractors()
        if not extractors or (frontend and frontend.attributes.get("learns")):
            continue
        means = settings.means(task.cell, settings.devices[0])
        view = View(task.data, task.method, settings.cache, settings.seed, 0, means)
        for ratio in models(task.method, task.data.low_resolution):
            view.fit_frontend(ratio, task.data.identity[:0])
            sides = ["gallery", "probe", *(["shrunk"] if task.method.options.synthetic_lr else [])]
            sources = [view.source(side, ratio) for side in sides]
            try:
                with threadpool_limits(1):
                    for extractor in extractors:
                        share(sources, extractor, settings.jobs)
            except Exception:  # the cell that needs it meets the same error, and records it as its own
                continue


def execute(tasks: Sequence[Task], settings: Settings) -> Iterator[Done]:
    """Run tasks as they come, then those that another run was busy with; each ends as one Done."""
    on_gpu = [task for task in tasks if list(settings.devices) != ["cpu"] and has_profiles(task.method)]
    others = [task for task in tasks if task not in on_gpu]
    # As many trainings at a time as there are GPUs; the rest needs processors only.
    one_each = replace(settings, jobs=min(settings.jobs, len(settings.devices)))
    for some, how in ((others, settings), (on_gpu, one_each)):
        busy = []
        for done in run_all(some, how, wait=False):
            if done.busy:
                busy.append(done.task)
            else:
                yield done
        yield from run_all(busy, how, wait=True)


def run_all(tasks: Sequence[Task], settings: Settings, wait: bool) -> Iterator[Done]:
    if settings.jobs == 1 or len(tasks) < 2:
        single = replace(settings, jobs=1)
        yield from (run_task(task, single, wait) for task in tasks)
        return
    parallel = Parallel(n_jobs=settings.jobs, return_as="generator_unordered", batch_size=1)
    with warnings.catch_warnings():
        # An interrupt cancels tasks: that is what the user asked for.
        warnings.filterwarnings("ignore", message=".*still being processed by the workers have been cancelled")
        try:
            yield from parallel(delayed(run_task)(task, settings, wait) for task in tasks)
        except TerminatedWorkerError as error:
            raise BenchError(
                "a worker process was killed, perhaps for want of memory; finished cells are kept, run the same command"
                " again with fewer --jobs"
            ) from error


@dataclass
class Report:
    """What a run did: finished and failed tasks."""

    finished: list[Task] = field(default_factory=list)
    failed: list[Done] = field(default_factory=list)


def run(tasks: Sequence[Task], settings: Settings) -> Report:
    """Run the tasks with a line each, and on a terminal a progress bar; `jobs` processes, any order."""
    report = Report()
    total, start = len(tasks), time.perf_counter()
    if not tasks:
        return report
    bar = tqdm(total=total, unit="cell", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)
    bar.set_description("shared features")
    prepare(tasks, settings)
    bar.set_description("cells")
    with bar:
        for count, done in enumerate(execute(tasks, settings), 1):
            if done.error is None:
                report.finished.append(done.task)
                outcome = f"rank-1 {100 * (done.rank1 or 0):.1f} %"
            else:
                report.failed.append(done)
                outcome = f"FAILED: {done.error}"
            left = duration((time.perf_counter() - start) / count * (total - count))
            bar.update()
            with tqdm.external_write_mode():
                print(f"[{count}/{total}] {done.task.cell}: {outcome} ({done.seconds:.1f} s; {left} left)", flush=True)
    return report


def duration(seconds: float) -> str:
    """``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@dataclass(frozen=True)
class Estimate:
    """What tasks will take.  seconds: on `jobs` processes; akin: cells judged by others of their method; unknown: how
    many have nothing to be judged by."""

    seconds: float
    akin: int
    unknown: int


def estimate(tasks: Sequence[Task], store: Store, jobs: int) -> Estimate:
    """Expected time, from stored cells of the same method, data set and profile; where there are none, from cells of
    the same plug-ins and profile, whatever their parameters and data set."""
    seconds: dict[tuple[str, ...], list[float]] = {}
    for result in store.read_all()[0]:
        for key in kinds_of(result.cell):
            seconds.setdefault(key, []).append(result.record["cost"]["total_seconds"])
    total, akin, unknown = 0.0, 0, 0
    for task in tasks:
        found = next((key for key in kinds_of(task.cell) if key in seconds), None)
        if found is None:
            unknown += 1
            continue
        total += statistics.median(seconds[found])
        akin += found != kinds_of(task.cell)[0]
    return Estimate(total / jobs, akin, unknown)


def kinds_of(cell: Cell) -> list[tuple[str, ...]]:
    """What cells a cell's time is judged by, the most like it first."""
    name = split_text(cell.method)[0]
    return [(cell.method, cell.dataset, cell.profile), (name, cell.dataset, cell.profile), (name, cell.profile)]


def resolve_device(device: str) -> str:
    """``auto`` -> ``cuda`` where PyTorch sees a GPU, otherwise ``cpu``; UsageError for a ``cuda`` that is not there."""
    if device == "cpu":
        return device
    try:
        import torch

        found = torch.cuda.is_available()
    except ImportError:
        found = False
    if device == "cuda" and not found:
        raise UsageError("--device cuda: PyTorch sees no GPU here; use --device cpu or auto")
    return "cuda" if found else "cpu"


def gpus(device: str) -> tuple[str, ...]:
    """The devices that `resolve_device`'s answer stands for: every GPU that PyTorch sees, or the CPU."""
    if device == "cpu":
        return ("cpu",)
    import torch

    return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))


def parse_splits(text: str) -> tuple[int, ...]:
    """``0-9`` or ``0,2,5-7`` -> numbers in order."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise UsageError(f"--splits {text}: expected numbers and ranges such as 0-9 or 0,2,5-7")
        numbers |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(numbers))
