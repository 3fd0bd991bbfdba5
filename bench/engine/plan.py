"""Which cells a run consists of."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

from bench.budget import Budget
from bench.engine import freshness
from bench.engine.cache import Cache
from bench.engine.data import Data, load
from bench.engine.elsewhere import Remote
from bench.engine.identity import Cell, depends_of
from bench.engine.isolation import isolated
from bench.engine.store import Result, Store
from bench.engine.view import Setup
from bench.errors import BenchError, DataError, MissingData, NotApplicable, UsageError, listing
from bench.plugin import weights_files
from bench.plugin.base import Dataset
from bench.plugin.grammar import split_text
from bench.plugin.locate import describe
from bench.plugin.registry import registry
from bench.plugin.spec import DatasetSpec, MethodSpec, check_applicable, dataset_spec, method_names, method_spec
from bench.protocol.statistics import PAPER_SPLITS

AUTO = "auto"  # a device
MOST_SPLITS = 1000
"""Splits are numbered from 0 to one below this."""

Spec = TypeVar("Spec", MethodSpec, DatasetSpec)


@dataclass(frozen=True)
class Settings:
    """What a run is asked for, as on the command line.  Empty methods or datasets: all of them; no splits: ten.

    store: where cells are written.  others: stores whose finished cells count as well.
    profile: training schedule; None: each data set's own.
    threads: of every cell, in place of what the harness gives; for cells that are computed a second time.
    devices: ``cpu``, `AUTO`, or GPUs, which trained cells are spread over.  sharing: how many train on each at a time.
    force: compute finished and stale cells again.  keep: never compute stale ones again.
    weights: the folder of weights files that networks start from, None where there is none.
    memory: bytes that the distances of all cells that are computed at a time may take, None for all that they need.
    compile, deterministic: as in `bench.plugin.base.Train`.  enhancers: splits whose cells keep them.
    budget: what every process keeps to, None for all the time that it takes.
    remote: where cells are computed, None for this machine.
    """

    store: Store
    cache: Cache
    root: Path | None
    others: Sequence[Store] = ()
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    splits: Sequence[int] | None = None
    seed: int = 0
    profile: str | None = None
    jobs: int = 1
    threads: int | None = None
    devices: Sequence[str] = ("cpu",)
    sharing: int = 1
    force: bool = False
    keep: bool = False
    weights: Path | None = None
    compile: bool = False
    deterministic: bool = False
    enhancers: Sequence[int] = (0,)
    budget: Budget | None = None
    remote: Remote | None = None
    memory: int | None = None

    @property
    def stores(self) -> tuple[Store, ...]:
        return (*self.others, self.store)

    def find(self, cell: Cell, exactly: bool = False) -> Result | None:
        """The finished cell, from the first store that has it; unless exactly, also from before an option was added."""
        for store in self.stores:
            if found := store.get(cell):
                return found
            for other in () if exactly else store.others(cell):
                if freshness.as_now(other) == cell:
                    return other
        return None

    def setup(self, cell: Cell, device: str, workspace: Path | None = None) -> Setup:
        how = self.compile, self.deterministic, None if self.memory is None else self.memory // self.jobs
        return Setup(cell.profile, device, self.weights, cell.weights, workspace, *how)


@dataclass(frozen=True)
class Task:
    """A cell and what computing it takes.

    named: whether the method was given by its name, not by a glob.  again: to be computed although it is finished.
    expected: seconds that it may take, by earlier cells, 0 where nothing is known.  at_place: as `Store.at_place` says.
    """

    cell: Cell
    method: MethodSpec
    data: Data
    named: bool = False
    again: bool = False
    expected: float = 0.0
    at_place: tuple[str, ...] | None = None


@dataclass
class Plan:
    """The tasks of a run, and a line for everything left out with its reason."""

    tasks: list[Task] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def expand(patterns: Sequence[str], names: Sequence[str]) -> dict[str, bool]:
    """Specs that the patterns stand for -> whether each was given by its name (and not by a glob).

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

    UsageError for an unknown name or a pair given by name that does not go together; DataError for a data set given by
    name that is not there.
    """
    result = Plan()
    missing: dict[str, str] = {}
    with isolated():
        methods = resolve(method_spec, expand(settings.methods or ["*"], method_names()), result)
        datasets = resolve(dataset_spec, expand(settings.datasets or ["*"], registry().names("dataset")), result)
        for spec, named in datasets:
            offered = methods if settings.methods else [*methods, *variants_on(spec, result)]
            chosen, without = applicable(offered, spec, named, settings)
            if not chosen:
                result.skipped += without
                continue
            try:
                data, splits = load_with_splits(spec, settings)
            except DataError as error:
                if named:
                    raise
                if isinstance(error, MissingData):
                    missing[spec.text] = str(error)
                else:
                    result.skipped.append(str(error))
                continue
            result.skipped += without
            result.tasks += [
                Task(make_cell(method, data, split, settings), method, data, by_name)
                for split in splits
                for method, by_name in chosen
            ]
    result.skipped += absent(missing)
    return result


def variants_on(spec: DatasetSpec, result: Plan) -> list[tuple[MethodSpec, bool]]:
    """What a run that names no method has on a data set besides all methods."""
    known = method_names()
    return resolve(method_spec, {text: False for text in spec.build().variants if split_text(text)[0] in known}, result)


def absent(missing: dict[str, str]) -> list[str]:
    """One line for all the data sets that are not there; the reason itself where there is but one."""
    if len(missing) < 2:
        return list(missing.values())
    names = listing(list(missing), most=len(missing))
    return [f"{len(missing)} data sets that are not there: {names}; `doctor` says how to get each"]


def applicable(
    methods: Sequence[tuple[MethodSpec, bool]], spec: DatasetSpec, named: bool, settings: Settings
) -> tuple[list[tuple[MethodSpec, bool]], list[str]]:
    """The methods that run on a data set, each with whether it was given by name, and why others do not."""
    dataset = spec.build()
    chosen: list[tuple[MethodSpec, bool]] = []
    left_out: dict[str, list[str]] = {}
    for method, method_named in methods:
        try:
            check_applicable(method, spec)
            left = not settings.methods and has_profiles(method) and method.text not in dataset.variants
            reason = (left and dataset.no_training) or unavailable(method, settings, profile_for(spec, settings))
        except NotApplicable:
            if named and method_named:
                raise
            continue
        if reason and named and method_named:
            raise UsageError(f"{method.text} cannot run here: {reason}")
        if reason:
            left_out.setdefault(reason, []).append(method.text)
        else:
            chosen.append((method, method_named))
    return chosen, [f"{', '.join(names)} on {spec.text}: {reason}" for reason, names in left_out.items()]


def load_with_splits(spec: DatasetSpec, settings: Settings) -> tuple[Data, Sequence[int]]:
    """The data and the splits that are asked for; DataError for whatever else a reader raises."""
    try:
        data = load(spec, settings.root, settings.seed, settings.cache)
        splits = chosen_splits(settings, data)
        for split in splits:
            data.split(split, settings.seed)
    except (KeyboardInterrupt, BenchError):
        raise
    except BaseException as error:  # a reader is a plug-in, which may even try to end the process
        raise DataError(f"{spec.text} cannot be read: {describe(error)}") from error
    return data, splits


def chosen_splits(settings: Settings, data: Data) -> Sequence[int]:
    """The splits asked for, or `default_splits`."""
    return default_splits(data) if settings.splits is None else settings.splits


def default_splits(data: Data) -> range:
    """The paper's ten splits, or as many as there are official ones."""
    official = len(data.splits) if data.splits and not data.spec.options.split_file else PAPER_SPLITS
    return range(min(PAPER_SPLITS, official))


def resolve(parse: Callable[[str], Spec], texts: dict[str, bool], result: Plan) -> list[tuple[Spec, bool]]:
    """The specs, each with whether it was given by name; of the others those that cannot be loaded are skipped."""
    specs = []
    for text, named in texts.items():
        try:
            specs.append((parsed(parse, text), named))
        except NotApplicable as error:
            if named:
                raise
            if str(error) not in result.skipped:
                result.skipped.append(str(error))
    return specs


def parsed(parse: Callable[[str], Spec], text: str) -> Spec:
    """The spec; NotApplicable for whatever its plug-in raises."""
    try:
        return parse(text)
    except (KeyboardInterrupt, BenchError):
        raise
    except BaseException as error:  # a constructor is anyone's, and may even try to end the process
        raise NotApplicable(f"{text} cannot be made: {describe(error)}") from error


def profile_for(spec: DatasetSpec, settings: Settings) -> str:
    """The training schedule on a data set: the one asked for, else the data set's own."""
    return settings.profile or str(spec.dataset.attributes.get("profile", Dataset.profile))


def unavailable(method: MethodSpec, settings: Settings, profile: str) -> str | None:
    """Why the method or its front-end cannot run here, None when both can."""
    parts = (method.build_frontend(), method.build())
    return next(
        (r for part in parts if part and (r := weights_files.missing_weights(part, settings.weights, profile))), None
    )


def has_profiles(method: MethodSpec) -> bool:
    """Whether the training schedule matters to the method or its front-end."""
    return any(part and part.attributes.get("profiles") for part in (method.method, method.frontend))


def make_cell(method: MethodSpec, data: Data, split: int, settings: Settings) -> Cell:
    profile = profile_for(data.spec, settings)
    initial = initial_weights(method, settings.weights, profile)
    named = profile if has_profiles(method) else "paper"
    dataset = data.spec.identity
    depends = depends_of(method.text, dataset)
    return Cell(method.text, dataset, split, settings.seed, named, data.digest, initial, depends)


def initial_weights(method: MethodSpec, weights: Path | None, profile: str) -> tuple[str, ...]:
    """SHA-256 of each of the weights files that a method and its front-end start from."""
    parts = (method.build_frontend(), method.build())
    files = [path for part in parts if part for path in weights_files.initial_weights(part, weights, profile)]
    return tuple(file_sha256(path, path.stat().st_mtime_ns) for path in files)


@cache
def file_sha256(path: Path, changed: int) -> str:
    """SHA-256 of a file, read once for each time that it was changed."""
    return weights_files.sha256(path)
