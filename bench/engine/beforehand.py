"""What a run does before its cells: contracts of methods, and what cells share."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from threadpoolctl import threadpool_limits

from bench.budget import OutOfTime
from bench.engine import contract
from bench.engine.isolation import isolated
from bench.engine.plan import AUTO, Settings, Task, has_profiles
from bench.engine.view import build_view
from bench.engine.workers import spread
from bench.errors import StorageError
from bench.plugin.locate import describe
from bench.plugin.spec import MethodSpec
from bench.protocol.images import share


def on_devices(settings: Settings, tasks: Sequence[Task]) -> Settings:
    """The settings with the devices that ``auto`` stands for; the CPU where no task trains, which needs no torch."""
    if AUTO not in settings.devices:
        return settings
    where: Sequence[str] = ("cpu",)
    if any(has_profiles(task.method) for task in tasks):
        from bench.learning.device import devices, resolve_device

        where = devices(resolve_device(AUTO))
    return replace(settings, devices=where, sharing=-(-settings.sharing // len(where)))


def prepare(tasks: Sequence[Task], settings: Settings) -> None:
    """Compute what the tasks share and no split changes, features and Gram matrices, on `jobs` threads."""
    seen: set[tuple[str, str]] = set()
    for task in tasks:
        if (task.method.text, task.data.digest) in seen:
            continue
        seen.add((task.method.text, task.data.digest))
        try:
            with isolated(), threadpool_limits(1):
                share_features(task, settings)
        except (KeyboardInterrupt, StorageError):
            raise
        except BaseException:  # the cell that needs it meets the same error, and records it as its own
            continue


def share_features(task: Task, settings: Settings) -> None:
    """Put the features of a task's images, and their Gram matrices, into the cache."""
    frontend = task.method.build_frontend()
    extractors = task.method.build().extractors()
    if not extractors or (frontend and frontend.learns):
        return
    setup = settings.setup(task.cell, settings.devices[0])
    nobody = task.data.identity[:0]
    view = build_view(task.data, task.method, settings.cache, settings.seed, 0, nobody, setup)
    threads = min(settings.jobs, os.cpu_count() or 1)
    for ratio in view.ratios:
        sides = ["gallery", "probe", *(["shrunk"] if task.method.options.synthetic_lr and ratio is not None else [])]
        for extractor in extractors:
            share([view.sources[side, ratio] for side in sides], extractor, threads)


def check_contracts(tasks: Sequence[Task], settings: Settings) -> Iterator[str]:
    """Check each method that has not passed the contract in its present form; a line for each that does not."""
    methods: dict[str, MethodSpec] = {task.method.text: task.method for task in tasks}
    unknown = [spec for spec in methods.values() if not contract.passed(spec, settings.cache)]
    for spec, problem in zip(unknown, spread(check_contract, unknown, settings), strict=True):
        if problem:
            text = spec.text
            yield f"{text} breaks the contract, its cells are marked: {problem} (`check {text}` says all)"


def check_contract(spec: MethodSpec, settings: Settings) -> str:
    """What is wrong with a method first of all; empty where nothing is."""
    try:
        with isolated(), threadpool_limits(1):
            problems = contract.ensure(spec, settings.cache)
    except OutOfTime:
        return ""
    except (KeyboardInterrupt, StorageError):
        raise
    except BaseException as error:  # a plug-in's: its cells will fail with it, or are marked
        problems = [describe(error)]
    return problems[0] if problems else ""
