"""``run --campaign``: the commands in a file, one a line in order of value, as far as the time goes.

Consecutive `run` lines that differ only in methods, data sets, splits and schedule become one run, so that processes and
GPUs never wait for the last cell of a line.  A file may also hold ``pytest`` lines, which run the tests.
"""

import shlex
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bench import budget
from bench.cli.parser import build_parser
from bench.errors import BenchError, UsageError, counted, listing, visible
from bench.files import write_atomically
from bench.plugin.registry import ROOT

if TYPE_CHECKING:
    from bench.engine.plan import Settings, Task
    from bench.engine.run import Report
    from bench.engine.todo import Todo

FOLDER = ROOT / "results" / "campaigns"
SUFFIX = ".campaign"
TESTS = "pytest"
WHAT = ("method", "dataset", "splits", "profile", "all")
"""Options in which the lines of one run may differ."""
HELD = ("results", "weights", "data", "device", "jobs", "compile", "deterministic", "dry_run")
"""Options beside ``--campaign`` that hold for every line, in place of its own."""


@dataclass(frozen=True)
class Step:
    """One line of a campaign.  where: file and line, for messages.  options: parsed, None for tests."""

    where: str
    words: tuple[str, ...]
    options: Namespace | None

    def __str__(self) -> str:
        return shlex.join(self.words)

    @property
    def runs(self) -> Namespace | None:
        """The options of a ``run`` line."""
        return self.options if self.options is not None and self.options.command == "run" else None


@dataclass
class Ended:
    """How a step ended: ``done``, ``left`` for want of time, or ``failed``; with what there is to say of it."""

    step: Step
    state: str
    about: list[str] = field(default_factory=list)


def campaign_command(options: Namespace) -> int:
    start = time.monotonic()
    steps = read_campaign(find_campaign(options.campaign))
    hold(steps, options)
    check_names(steps)
    ended = []
    for group in grouped(steps):
        for outcome in perform(group, options):
            ended.append(outcome)
            if outcome.state == "failed":
                print(f"bench: {outcome.step.where}: {visible('; '.join(outcome.about))}", file=sys.stderr)
    if options.dry_run:
        return 1 if any(outcome.state == "failed" for outcome in ended) else 0
    return summary(options.campaign, ended, time.monotonic() - start)


def summary(name: str, ended: Sequence[Ended], seconds: float) -> int:
    """Say what was done and what is left; the exit code."""
    from bench.engine.todo import duration

    print(f"\ncampaign {name}, {duration(seconds)}:")
    for outcome in ended:
        about = f" ({'; '.join(outcome.about)})" if outcome.about else ""
        print(f"  {outcome.state:6} {outcome.step}{about}")
    states = [outcome.state for outcome in ended]
    if "left" in states:
        steps = f"{counted(states.count('left'), 'step')} of {len(steps_of(ended))}"
        print(f"bench: out of time: {steps} left; the same command goes on", file=sys.stderr)
        return budget.EXIT_CODE
    return 1 if "failed" in states else 0


def steps_of(ended: Sequence[Ended]) -> list[Step]:
    return [outcome.step for outcome in ended]


def find_campaign(name: str) -> Path:
    """The file of that path, or of that name among those that come with bench."""
    for path in (FOLDER / f"{name}{SUFFIX}", Path(name)):
        if path.is_file():
            return path
    known = sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))
    raise UsageError(f"--campaign {name}: no such file; there is {listing(known) or 'none'} in {FOLDER}")


def read_campaign(path: Path) -> list[Step]:
    """The steps of a file; UsageError, with file and line, for a line that is no command."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    steps = [step for number, line in enumerate(lines, 1) if (step := parsed(f"{path.name} line {number}", line))]
    if not steps:
        raise UsageError(f"{path.name} holds no command")
    return steps


def parsed(where: str, line: str) -> Step | None:
    """The step of a line, None for an empty one."""
    try:
        words = tuple(shlex.split(line, comments=True))
        if not words or words[0] == TESTS:
            return Step(where, words, None) if words else None
        if {"-h", "--help", "--version"} & set(words):
            raise ValueError("a step computes something")
        options = build_parser().parse_args(words)
        if getattr(options, "campaign", None):
            raise ValueError("a campaign cannot hold another")
    except (BenchError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error
    return Step(where, words, options)


def hold(steps: Sequence[Step], options: Namespace) -> None:
    """Give every step the options beside ``--campaign``; UsageError for those that say what to run."""
    defaults = vars(build_parser().parse_args(["run"]))
    given = {key for key, value in vars(options).items() if value != defaults[key]}
    if wrong := given - {*HELD, "campaign", "budget", "plugins"}:
        names = listing(sorted(f"--{name.replace('_', '-')}" for name in wrong))
        raise UsageError(f"--campaign takes what to run from its file: leave out {names}")
    for step in steps:
        for name in given.intersection(HELD):
            if step.options is not None and hasattr(step.options, name):
                setattr(step.options, name, getattr(options, name))


def check_names(steps: Sequence[Step]) -> None:
    """UsageError, with file and line, for a method, data set or split that does not exist; nothing has begun then."""
    from bench.cli.running import require_choice
    from bench.engine.plan import check_names, parse_splits

    for step in steps:
        if options := step.runs:
            try:
                require_choice(options)
                check_names(options.method, options.dataset)
                if options.splits is not None:
                    parse_splits(options.splits)
            except BenchError as error:
                raise UsageError(f"{step.where}: {error}") from error


def grouped(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """The steps in order, `run` lines that can be one run together."""

    def key(item: tuple[int, Step]) -> object:
        number, step = item
        options = step.runs
        if options is None or options.budget is not None or options.verify:
            return number
        return {name: value for name, value in vars(options).items() if name not in WHAT}

    for _, items in groupby(enumerate(steps), key):
        yield [step for _, step in items]


def perform(group: Sequence[Step], options: Namespace) -> list[Ended]:
    """Do the steps of one group, in what is left of the time."""
    if budget.spent():
        return [Ended(step, "left") for step in group]
    if (first := group[0].runs) and not first.verify:
        with budget.limited(first.budget):
            return run_lines(group)
    (step,) = group
    if options.dry_run:
        print(f"would do: {step}")
        return [Ended(step, "done")]
    journal = Journal(options.results)
    if step in journal:
        return [Ended(step, "done", ["before"])]
    print(f"\n{step.where}: {step}", flush=True)
    start = time.monotonic()
    try:
        problem = run_tests(step, options.data) if step.options is None else call_bench(step.options)
    except BenchError as error:
        problem = str(error)
    except budget.OutOfTime:
        return [Ended(step, "left")]
    if problem:
        return [Ended(step, "failed", [problem])]
    journal.add(step)
    return [Ended(step, "done", [f"{time.monotonic() - start:.0f} s"])]


def call_bench(options: Namespace) -> str:
    """Any other command of bench; what went wrong, empty where nothing did.  OutOfTime where it did not end."""
    from bench.cli.entry import call

    code = call(options)
    if code == budget.EXIT_CODE:
        raise budget.OutOfTime
    return f"exit code {code}" if code else ""


def run_tests(step: Step, data: Path | None) -> str:
    """Tests, as a process of its own; likewise."""
    import os

    if not (ROOT / "tests").is_dir():
        return "the tests come with a clone of bench"
    environment = {**os.environ, **({"BENCH_DATA": str(data)} if data else {})}
    seconds = budget.left()
    try:
        code = subprocess.run(
            [sys.executable, "-m", *step.words], cwd=ROOT, env=environment, timeout=min(seconds, threading_max())
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise budget.OutOfTime from error
    return f"exit code {code}" if code else ""


class Journal:
    """Which steps are done whose outcome is no cell: a line each, of commit and command, in the store.

    A step whose line is deleted is done again.
    """
