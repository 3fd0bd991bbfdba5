"""``run --campaign``: the commands in a file, one a line in order of value, as far as the time goes.

Consecutive `run` lines that differ only in methods, data sets, splits and schedule become one run, so that no process
and no GPU waits for the last cell of a line.
"""

import math
import os
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import budget
from bench.cli.journal import Journal
from bench.cli.steps import Step, check_names, find_campaign, grouped, hold, read_campaign
from bench.errors import BenchError, StorageError, UsageError, counted, visible
from bench.plugin.registry import ROOT

if TYPE_CHECKING:
    from bench.engine.plan import Settings
    from bench.engine.run import Report
    from bench.engine.todo import Todo


@dataclass
class Ended:
    """How a step ended: ``done``, ``planned`` in a dry run, ``left`` for want of time, or ``failed``; and what there is
    to say of it."""

    step: Step
    state: str
    about: list[str] = field(default_factory=list)


def campaign_command(options: Namespace) -> int:
    start = time.monotonic()
    steps = read_campaign(find_campaign(options.campaign))
    hold(steps, options)
    check_names(steps)
    journal = Journal(options.results)
    ended = [outcome for group in grouped(steps) for outcome in perform(group, options, journal)]
    with budget.shielded():
        return summary(options.campaign, ended, time.monotonic() - start)


def summary(name: str, ended: Sequence[Ended], seconds: float) -> int:
    """Say of each step how it ended; the exit code."""
    from bench.engine.todo import duration

    print(f"\ncampaign {name}, {duration(seconds)}:")
    for outcome in ended:
        about = f": {visible('; '.join(outcome.about))}" if outcome.about else ""
        print(f"  {outcome.state:7}  {outcome.step}{about}")
    states = [outcome.state for outcome in ended]
    sys.stdout.flush()
    if failed := states.count("failed"):
        print(f"bench: {counted(failed, 'step')} of {len(states)} failed", file=sys.stderr)
    if left := states.count("left"):
        steps = f"{counted(left, 'step')} of {len(states)}"
        print(f"bench: out of time: {steps} left; the same command goes on", file=sys.stderr)
        return budget.EXIT_CODE
    return 1 if failed else 0


def perform(group: Sequence[Step], options: Namespace, journal: "Journal") -> list[Ended]:
    """Do the steps of one group, in what is left of the time."""
    if budget.spent():
        return [Ended(step, "left") for step in group]
    first = group[0]
    try:
        if first.runs and not first.runs.verify:
            with budget.limited(first.runs.budget):
                return run_lines(group)
        return [other_line(first, options, journal)]
    except budget.OutOfTime as error:
        return [Ended(step, "left", [str(error)] if str(error) else []) for step in group]


def run_lines(group: Sequence[Step]) -> list[Ended]:
    """Several `run` lines as one run, cells in the order of the lines; one that cannot be run costs no other."""
    from bench.engine.run import Report

    planned = {step.where: plan_line(step) for step in group}
    works = {where: work for where, work in planned.items() if not isinstance(work, str)}
    report, broken = Report(), dict.fromkeys(works, "")
    if works and not any(step.runs and step.runs.dry_run for step in group):
        settings = next(iter(works.values()))[1]
        error = run_cells([work for work, _ in works.values()], settings, report)
        broken = dict.fromkeys(works, error)
        if error and len(works) > 1:
            print("bench: each line by itself", file=sys.stderr)
            broken = {where: run_cells([work], how, report) for where, (work, how) in works.items()}
    return [line_ended(step, planned[step.where], report, broken.get(step.where, "")) for step in group]


def run_cells(works: "Sequence[Todo]", settings: "Settings", report: "Report") -> str:
    """Run what of some lines has not ended yet, and report it; why the run broke off, a killed worker for instance."""
    from bench.engine.run import run
    from bench.engine.stocktaking import write_missing

    ended = {done.task.cell for done in (*report.finished, *report.failed)}
    pending = {task.cell: task for work in works for task in work.pending if task.cell not in ended}
    left, report.left = report.left, []
    try:
        for line in write_missing(list(pending.values()), settings):
            print(f"bench: {line}", file=sys.stderr)
        run(list(pending.values()), settings, report)
    except StorageError:
        raise
    except BenchError as error:
        print(f"bench: {visible(str(error))}", file=sys.stderr)
        return str(error)
    finally:
        report.left = left + report.left
    return ""


def plan_line(step: Step) -> "tuple[Todo, Settings] | str":
    """What a `run` line has to do, and how; or why it cannot be run."""
    from bench.cli.running import dry_run, make_settings, print_skipped
    from bench.engine.plan import plan
    from bench.engine.todo import todo

    options = step.runs or Namespace()
    print(f"\n{step.where}: {step}")
    try:
        settings = make_settings(options)
        planned = plan(settings)
        work = todo(planned.tasks, settings)
    except BenchError as error:
        print(f"bench: {visible(str(error))}", file=sys.stderr)
        return str(error)
    print_skipped(planned)
    if work.first_line:
        print(work.first_line)
    print(f"{counted(len(planned.tasks), 'cell')}: {work.finished} finished before, {len(work.pending)} to run")
    if options.dry_run:
        dry_run(work, settings)
    sys.stdout.flush()
    return work, settings


def line_ended(step: Step, planned: "tuple[Todo, Settings] | str", report: "Report", broken: str) -> Ended:
    """How a `run` line ended, by what became of its cells.  broken: why its run broke off, if it did."""
    if isinstance(planned, str):
        return Ended(step, "failed", [planned])
    work = planned[0]
    cells = {task.cell for task in work.pending}
    finished = [done for done in report.finished if done.task.cell in cells]
    failed = [done for done in report.failed if done.task.cell in cells]
    left = sum(task.cell in cells for task in report.left)
    about = [f"{work.finished + len(finished)} of {counted(work.finished + len(cells), 'cell')}"]
    if finished:
        about.append(f"{sum(done.seconds for done in finished) / len(finished):.0f} s a cell")
    about += [f"{done.task.cell} failed: {done.error}" for done in failed] + work.problems
    if broken:
        about.append(broken)
    if broken or failed or work.problems:
        return Ended(step, "left" if left else "failed", about)
    dry = step.runs and step.runs.dry_run and work.pending
    return Ended(step, "left" if left else "planned" if dry else "done", about)


def other_line(step: Step, options: Namespace, journal: "Journal") -> Ended:
    """A line that is no `run`, once: its outcome is no cell that could be found in a store."""
    print(f"\n{step.where}: {step}", flush=True)
    start = time.monotonic()
    try:
        if journal.holds(step, options.device):
            return Ended(step, "done", ["before"])
        if options.dry_run:
            return Ended(step, "planned")
        before = journal.weights(step)
        if code := run_tests(step, options.data) if step.options is None else call_bench(step.options):
            return Ended(step, "failed", [f"exit code {code}"])
        journal.add(step, options.device, before)
    except StorageError:
        raise
    except BenchError as error:
        print(f"bench: {visible(str(error))}", file=sys.stderr)
        return Ended(step, "failed", [str(error)])
    return Ended(step, "done", [f"{time.monotonic() - start:.0f} s"])


def call_bench(options: Namespace) -> int:
    """Another command of bench; its exit code.  OutOfTime where it did not end."""
    from bench.cli.entry import call

    code = call(options)
    if code == budget.EXIT_CODE:
        raise budget.OutOfTime
    return code


def run_tests(step: Step, data: Path | None) -> int:
    """The tests of the clone in a process of their own; likewise."""
    if not (ROOT / "tests").is_dir():
        raise UsageError("the tests come with a clone of bench")
    seconds = budget.left()
    try:
        return subprocess.run(
            [sys.executable, "-m", *step.words],
            cwd=ROOT,
            env={**os.environ, **({"BENCH_DATA": str(data.resolve())} if data else {})},
            timeout=None if math.isinf(seconds) else seconds,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise budget.OutOfTime from error
