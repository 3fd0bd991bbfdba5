"""The process that measures: its one argument is what the command line was told, as JSON."""

import fnmatch
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engine.provenance import libraries, machine
from bench.errors import BenchError, UsageError, counted, visible
from tests.benchmarks.speed.case import Case
from tests.benchmarks.speed.cases import CASES
from tests.benchmarks.speed.result import FORMAT, Measured, Run, comparison, read_run, regressions, write_run
from tests.benchmarks.speed.runner import measure

LEGEND = "how many times as fast as the reference [95 %]; seconds of the processor, ours and the reference's"
SECONDS = 6.0
"""Of each case."""


@dataclass(frozen=True)
class Wanted:
    """only: globs, none for all cases.  budget: seconds for all of them together."""

    only: Sequence[str]
    list: bool
    budget: float | None
    json: str | None
    against: str | None


def main(wanted: Wanted) -> int:
    cases = chosen(wanted.only)
    if wanted.list:
        for case in cases:
            reason = f"; not here: {case.missing()}" if case.missing() else ""
            print(f"{case.name:18} {case.size:,} {case.unit}, against {case.reference}{reason}")
        return 0
    before = read_run(Path(wanted.against)) if wanted.against else None
    run = Run(FORMAT, about(), [], {})
    if wanted.json:
        write_run(Path(wanted.json), run)  # a file that cannot be written is told before anything is measured
    print("; ".join(f"{key}: {value}" for key, value in run.machine.items()))
    print(LEGEND, flush=True)
    failed = False
    for case in cases:
        if reason := case.missing():
            run.missed[case.name] = reason
            print(f"{case.name:18} not measured: {reason}", flush=True)
            continue
        try:
            found = measure(case, SECONDS if wanted.budget is None else wanted.budget / len(cases))
        except Exception as error:  # whatever a case's sides raise costs no other case
            failed = True
            run.missed[case.name] = f"failed: {' '.join(f'{error}'.split()) or type(error).__name__}"
            print(f"bench: {visible(case.name)}: {visible(run.missed[case.name])}", file=sys.stderr, flush=True)
        else:
            run.cases.append(found)
            print(line(found), flush=True)
        if wanted.json:
            write_run(Path(wanted.json), run)
    if before:
        print(f"\nagainst {wanted.against}, how many times as fast as then:")
        for text in comparison(run, before, [case.name for case in cases]):
            print(visible(text))
        if slower := regressions(run, before):
            print(f"bench: slower than in {wanted.against}: {', '.join(slower)}", file=sys.stderr)
            return 1
    return 1 if failed else 0


def chosen(patterns: Sequence[str]) -> list[Case]:
    """The cases that the globs name, all without any; UsageError for a glob that names none."""
    names = [case.name for case in CASES]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise UsageError(f"no case is called {pattern!r}: there is {', '.join(names)}")
    return [case for case in CASES if not patterns or any(fnmatch.fnmatchcase(case.name, p) for p in patterns)]


def about() -> dict[str, str]:
    """What is measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in libraries().items())
    return {"processor": machine(), "cores": str(os.cpu_count()), "threads": "1", "versions": versions}


def line(found: Measured) -> str:
    """A case for people."""
    both = f"{found.seconds:.3g} s and {found.reference_seconds:.3g} s, {counted(found.pairs, 'pair')}"
    what = f"{found.size:,} {found.unit}, against {found.reference}"
    figures = "".join(f"; {value:.3g} {name}" for name, value in found.figures.items())
    return f"{found.name:18} {found.interval!s:28} {both}; {what}{figures}"


if __name__ == "__main__":
    try:
        code = main(Wanted(**json.loads(sys.argv[1])))
    except BenchError as error:
        print(f"bench: {visible(str(error))}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
