"""The lines of a campaign's file: read, checked, and brought together before any of them begins."""

import io
import shlex
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bench.cli.parser import build_parser
from bench.cli.values import parse_splits
from bench.errors import BenchError, UsageError, listing
from bench.plugin.registry import ROOT

FOLDER = ROOT / "results" / "campaigns"
SUFFIX = ".campaign"
TESTS = "pytest"
WHAT = ("method", "dataset", "splits", "profile", "all")
"""Options in which the lines of one run may differ."""
HELD = ("results", "weights", "data", "device", "jobs", "compile", "deterministic", "dry_run", "backend", "scheduler")
"""Options beside ``--campaign`` that hold for every line, in place of its own; but ``--jobs`` of a line's own stay, as
what is timed is timed alone."""


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
        with redirect_stdout(io.StringIO()):
            options = build_parser().parse_args(words)
        if getattr(options, "campaign", None):
            raise ValueError("a campaign cannot hold another")
    except SystemExit as error:  # argparse's, after --help or --version
        raise UsageError(f"{where}: a step computes something, and this one only prints help") from error
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
            own = name == "jobs" and getattr(step.options, name, None) is not None
            if step.options is not None and hasattr(step.options, name) and not own:
                setattr(step.options, name, getattr(options, name))


def check_names(steps: Sequence[Step]) -> None:
    """UsageError, with file and line, for a method, data set or split that does not exist; nothing has begun then."""
    from bench.cli.running import require_choice
    from bench.engine.isolation import isolated
    from bench.engine.plan import Plan, expand, resolve
    from bench.learning.pretrain import make_recipe
    from bench.plugin.registry import registry
    from bench.plugin.spec import dataset_spec, method_names, method_spec

    def check_datasets(texts: Sequence[str]) -> None:
        resolve(dataset_spec, expand(texts, registry().names("dataset")), Plan())

    for step in steps:
        try:
            with isolated():
                if options := step.runs:
                    require_choice(options)
                    resolve(method_spec, expand(options.method, method_names()), Plan())
                    check_datasets(options.dataset)
                    parse_splits(options.splits or "0")
                    parse_splits(options.enhancers, "--enhancers")
                elif step.options is not None and step.options.command == "pretrain":
                    make_recipe(step.options.name)
                    check_datasets([step.options.dataset] if step.options.dataset else [])
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
