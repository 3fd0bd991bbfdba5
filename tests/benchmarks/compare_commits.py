"""This commit beside an earlier one:  python -m tests.benchmarks.compare_commits COMMIT [-d mlr_viper] [--rounds 2]

Both run the same commands, in turns, each with a cache and a store of its own that are empty in the first: the rows
without a network from nothing, the same again when all is finished, a table, a list.  Prints how many times today's
processor seconds the earlier one's are, whether both print the same tables, and where both spend their time in the
first (the ten functions of the main thread that take the most without those that they call).  One process and one
thread of BLAS each; --profile-only skips the turns.  BENCH_DATA as in `run`.
"""

import argparse
import os
import pstats
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.cli.speed import THREADS
from bench.engine.provenance import machine
from tests.benchmarks.speed.runner import processor_seconds

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("bilinear+xqda", "bilinear+nfst", "bicubic+xqda", "bicubic+nfst", "judea", "sld2l", "sdf")
PROFILE = "import cProfile, sys; from bench.cli.entry import main; cProfile.run('main()', sys.argv.pop(1))"


def commands(dataset: str, methods: list[str]) -> dict[str, list[str]]:
    run = ["run", "-d", dataset, "--jobs", "1", *(word for method in methods for word in ("-m", method))]
    table = ["table", "2", "-d", dataset]
    return {"rows from nothing": run, "the same, finished": run, "table 2": table, "list methods": ["list", "methods"]}


def call(code: Path, folder: Path, arguments: list[str], profile: Path | None = None) -> tuple[float, str]:
    """Processor seconds, and what was printed of tables: their lines."""
    own = {"BENCH_CACHE": str(folder / "cache"), "BENCH_RESULTS": str(folder / "local")}
    environ = {**os.environ, **dict.fromkeys(THREADS, "1"), **own}
    start = [sys.executable, "-m", "bench"] if profile is None else [sys.executable, "-c", PROFILE, str(profile)]
    stores = ["--results", str(folder / "results")] if arguments[0] != "list" else []
    folder.mkdir(exist_ok=True)
    before = processor_seconds()
    said = subprocess.run(
        [*start, *arguments, *stores], cwd=code, env=environ, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return processor_seconds() - before, "\n".join(line for line in said.splitlines() if line.startswith("|"))


def top(profile: Path, code: Path) -> list[str]:
    found = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in found.values())
    most = sorted(found.items(), key=lambda item: -item[1][2])[:10]
    return [
        f"{100 * row[2] / total:5.1f} %  {name}  ({place(file, code)}, {row[1]:,} calls)"
        for (file, _, name), row in most
    ]


def place(file: str, code: Path) -> str:
    path = Path(file)
    if path.is_relative_to(code):
        return str(path.relative_to(code))
    return "/".join(path.parts[-2:]) if path.suffix else "built in"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("-d", "--dataset", default="mlr_viper")
    parser.add_argument("-m", "--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--profile-only", action="store_true")
    given = parser.parse_args()
    print(f"{machine()}, one thread; {given.dataset}: {', '.join(given.methods)}")
    paths = commands(given.dataset, given.methods)
    with tempfile.TemporaryDirectory() as name:
        folder, earlier = Path(name), Path(name) / "code"
        subprocess.run(["git", "worktree", "add", "--detach", "-q", earlier, given.commit], cwd=ROOT, check=True)
        try:
            codes = {"earlier": earlier, "today": ROOT}
            if not given.profile_only:
                turns(codes, paths, folder, given.rounds)
            for side, code in codes.items():
                profile = folder / f"{side}.profile"
                call(code, folder / f"profile-{side}", paths["rows from nothing"], profile)
                print(f"\n{side}, rows from nothing:", *top(profile, code), sep="\n")
        except subprocess.CalledProcessError as error:
            sys.exit(f"exit code {error.returncode} of {' '.join(map(str, error.cmd))}")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", earlier], cwd=ROOT, check=True)


def turns(codes: dict[str, Path], paths: dict[str, list[str]], folder: Path, rounds: int) -> None:
    seconds: dict[str, dict[str, list[float]]] = {path: {side: [] for side in codes} for path in paths}
    tables: dict[str, set[str]] = {path: set() for path in paths}
    for turn in range(rounds):
        for side in codes if turn % 2 == 0 else reversed(codes):
            for path, arguments in paths.items():
                took, printed = call(codes[side], folder / f"{side}-{turn}", arguments)
                seconds[path][side].append(took)
                tables[path].add(printed)
    for path, took in seconds.items():
        before, after = (median(took[side]) for side in codes)
        same = "" if tables[path] == {""} else "; same table" if len(tables[path]) == 1 else "; TABLES DIFFER"
        print(f"{path}: {before:.3g} s before, {after:.3g} s now, {before / after:.2f} times as fast{same}")


if __name__ == "__main__":
    main()
