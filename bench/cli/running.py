"""``run``, ``prepare``, ``check`` and ``pretrain``: what computes."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench import budget
from bench.cli.stores import writing_stores
from bench.cli.values import parse_splits
from bench.errors import BenchError, DataError, UsageError, counted, listing

if TYPE_CHECKING:
    from bench.engine.plan import Plan, Settings, Task
    from bench.engine.run import Report
    from bench.engine.todo import Todo


def run_command(options: Namespace) -> int:
    from bench.engine.plan import plan
    from bench.engine.todo import todo

    if options.campaign:
        from bench.cli.campaign import campaign_command

        return campaign_command(options)
    require_choice(options)
    settings = make_settings(options)
    planned = plan(settings)
    if not planned.tasks:
        print_skipped(planned)
        raise UsageError("no chosen method runs on a chosen data set that is there")
    if options.verify:
        if settings.remote:
            raise UsageError("--verify computes on this machine: leave out --backend and --scheduler")
        print_skipped(planned)
        return verify_rows(planned.tasks, settings)
    work = todo(planned.tasks, settings)
    if work.first_line:
        print(work.first_line)
    print_skipped(planned)
    unreadable = f", {len(work.problems)} that cannot be read" if work.problems else ""
    counts = f"{work.finished} finished before, {len(work.pending)} to run{unreadable}"
    print(f"{counted(len(planned.tasks), 'cell')}: {counts}", flush=True)
    for line in work.problems:
        print(f"bench: {line}", file=sys.stderr)
    return dry_run(work, settings) if options.dry_run else run_pending(planned, work, settings)


def require_choice(options: Namespace) -> None:
    if not (options.all or options.method or options.dataset):
        raise UsageError("say what to run: --all, or methods with -m and data sets with -d")


def print_skipped(planned: "Plan") -> None:
    for line in planned.skipped:
        print(f"skipped: {line}")


def run_pending(planned: "Plan", work: "Todo", settings: "Settings") -> int:
    """Compute what is to be computed, and sum it up."""
    from bench.engine.run import run
    from bench.engine.stocktaking import write_missing

    for line in write_missing(planned.tasks, settings):
        print(f"bench: {line}", file=sys.stderr)
    report = run(work.pending, settings)
    with budget.shielded():
        return sum_up(planned, work, settings, report)


def sum_up(planned: "Plan", work: "Todo", settings: "Settings", report: "Report") -> int:
    """Print the tables of a run, and say last what failed and what is left; the exit code."""
    without = {task.cell for task in (*report.left, *(done.task for done in report.failed))}
    print_tables(settings, [task for task in planned.tasks if task.cell not in without])
    for done in report.failed:
        print(f"bench: {done.task.cell} failed: {done.error}", file=sys.stderr)
    if report.left:
        names = listing([str(task.cell) for task in report.left], most=3)
        left = f"{counted(len(report.left), 'cell')} left ({names})"
        print(f"bench: out of time: {left}; the same command goes on", file=sys.stderr)
        return budget.EXIT_CODE
    return 1 if report.failed or work.problems else 0


def dry_run(work: "Todo", settings: "Settings") -> int:
    """Say what would be run, and what each row and all of it take, as far as earlier cells tell."""
    from bench.engine.todo import Expected, duration, expected_of, together
    from bench.report.notes import plural

    jobs = (settings.remote.most or 1) if settings.remote else settings.jobs
    costs = expected_of(work.pending, settings)
    rows: dict[tuple[str, str, str], list[tuple[int, Expected | None]]] = {}
    for task, cost in zip(work.pending, costs, strict=True):
        key = (task.cell.method, task.cell.dataset, task.cell.profile)
        rows.setdefault(key, []).append((task.cell.split, cost))
    for (method, dataset, profile), cells in rows.items():
        splits = [split for split, _ in cells]
        print(f"would run {method} on {dataset}, schedule {profile}, {plural('split', splits)}: {len(splits)}")
        row = together([cost for _, cost in cells], 1)
        if known := len(cells) - row.unknown:
            peak = f", at most {row.memory:,.0f} MiB" if row.memory else ""
            print(f"  {row.seconds / known:,.1f} s a cell{peak}; {duration(row.seconds)} for all of them")
    expected = together(costs, jobs)
    if expected.unknown < len(costs):
        similar = f", for {counted(expected.similar, 'cell')} from similar ones" if expected.similar else ""
        print(f"about {duration(expected.seconds)} from earlier cells{similar}")
    if expected.memory:
        most = min(jobs, len(costs))
        print(f"at most {expected.memory:,.0f} MiB a cell, {most * expected.memory:,.0f} MiB for {most} at a time")
    if expected.unknown:
        are = "cell is" if expected.unknown == 1 else "cells are"
        print(f"{expected.unknown} {are} of a kind never run before: no estimate; a run shows the time left")
    return 0


def verify_rows(tasks: "Sequence[Task]", settings: "Settings") -> int:
    """Verify the rows of each store by themselves."""
    from bench.engine.verify import verify

    findings = []
    for store in settings.stores:
        for finding in verify(tasks, replace(settings, store=store, others=())):
            print(finding.text, flush=True)
            findings.append(finding)
    if not findings:
        print("no finished cell among these")
    return 0 if all(finding.repeats for finding in findings) else 1


def make_settings(options: Namespace) -> "Settings":
    from bench.engine.cache import Cache, cache_folder
    from bench.engine.elsewhere import make_remote
    from bench.engine.plan import AUTO, Settings
    from bench.engine.provenance import usual_memory
    from bench.learning.device import devices, resolve_device
    from bench.plugin.weights_files import weights_folder

    store, others = writing_stores(options.results)
    remote = make_remote(options.backend, options.scheduler, options.device, options.jobs)
    # On a cluster this machine computes no cell, and need not have the device.
    device = "cpu" if remote else options.device
    where = (AUTO,) if device == AUTO else devices(resolve_device(device))
    cores = os.cpu_count() or 1
    return Settings(
        store=store,
        others=others,
        cache=Cache(cache_folder()),
        root=options.data,
        methods=options.method,
        datasets=options.dataset,
        splits=None if options.splits is None else parse_splits(options.splits),
        seed=options.seed,
        profile=options.profile,
        jobs=cores if remote else options.jobs or cores,
        devices=where,
        sharing=-(-(options.jobs or 1) // len(where)),
        force=options.force,
        keep=options.keep,
        weights=weights_folder(options.weights),
        compile=options.compile,
        deterministic=options.deterministic,
        enhancers=parse_splits(options.enhancers, "--enhancers"),
        budget=budget.current(),
        remote=remote,
        memory=options.memory or (None if remote else usual_memory()),
    )


def print_tables(settings: "Settings", tasks: "Sequence[Task]") -> None:
    """The main table of each data set of a run."""
    from bench.engine.store import read_stores
    from bench.report.published import find_table
    from bench.report.render import render
    from bench.report.tables import main_table, make_table

    results, _ = read_stores([store.folder for store in settings.stores])
    shown: dict[str, list[str]] = {}
    for dataset in dict.fromkeys(task.cell.dataset for task in tasks):
        name = main_table(dataset)
        if name and any(r.cell.dataset == dataset and r.cell.seed == settings.seed for r in results):
            shown.setdefault(name, []).append(dataset)
    for name, datasets in shown.items():
        table = make_table(find_table(name), results, datasets, settings.seed)
        print("\n" + render(table, "markdown", with_published=False), end="")


def prepare_command(options: Namespace) -> int:
    from bench.engine.cache import Cache, cache_folder
    from bench.engine.prepare import prepare

    code = 0
    for done in prepare(options.dataset, options.data, options.seed, Cache(cache_folder())):
        if done.ready:
            print(done.text, flush=True)
        elif done.named:
            print(f"bench: {done.text}", file=sys.stderr)
            code = DataError.exit_code
        else:
            print(f"skipped: {done.text}")
    return code


def check_command(options: Namespace) -> int:
    from bench.engine.contract import check_method
    from bench.engine.isolation import isolated

    failures = 0
    with isolated():
        for name, problem in check_method(options.method):
            print(f"{'FAIL' if problem else 'ok  '} {name}{f': {problem}' if problem else ''}", flush=True)
            failures += problem is not None
    print(f"{options.method}: {f'{failures} checks failed' if failures else 'the contract holds'}")
    return 1 if failures else 0


def pretrain_command(options: Namespace) -> int:
    from bench.engine.cache import Cache, cache_folder
    from bench.learning import pretrain
    from bench.learning.device import resolve_device
    from bench.plugin.locate import describe

    if options.check is not None:
        return check_weights(options)
    if options.output is None:
        raise UsageError("say where to put the weights: --output DIR (or --check FILE to look at some)")
    cache = Cache(cache_folder())
    job = pretrain.make_job(options.name, options.dataset, options.images, options.data, cache, options.start)
    print(f"{options.name} on {job.source}: {counted(len(job.images), 'image')}", flush=True)
    try:
        with budget.limited(options.time_limit), pretrain.live_line() as report:
            how = (options.seed, options.profile, resolve_device(options.device), report)
            paths = pretrain.run(job, options.output, *how, options.compile, options.deterministic)
    except (KeyboardInterrupt, BenchError):
        raise
    except BaseException as error:  # a plug-in's training may raise anything, or try to end the process
        raise BenchError(f"{options.name} failed: {describe(error)}") from error
    for path in paths:
        print(f"wrote {path}")
    return 0


def check_weights(options: Namespace) -> int:
    """Zero-shot figures of a weights file, a line for each data set and distance."""
    from bench.engine.cache import Cache, cache_folder
    from bench.learning import zero_shot
    from bench.learning.device import resolve_device
    from bench.plugin.weights_files import describe

    if options.output or options.start or options.images or options.time_limit:
        raise UsageError("--check trains nothing: leave out --output, --start, --images and --time-limit")
    device, cache = resolve_device(options.device), Cache(cache_folder())
    found = zero_shot.measure(options.name, options.check, options.dataset, options.data, options.seed, device, cache)
    print(describe(options.check))
    for line in zero_shot.as_lines(found):
        print(line, flush=True)
    return 0
