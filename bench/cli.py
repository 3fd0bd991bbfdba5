"""``python -m bench``: the command line."""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import __version__
from bench.errors import BenchError, DataError, UsageError
from bench.plugin.registry import ROOT, registry

if TYPE_CHECKING:
    from bench.engine.run import Settings

# Only what every command needs is imported above: `list` and `--help` must answer at once.

EXIT_CODES = """exit codes: 0 ok, 1 a cell failed or a check is out of tolerance, 2 usage, 3 data missing or unreadable,
130 interrupted (finished cells are kept; run the same command again to go on)"""
PROFILES = ("smoke", "quick", "paper")
GRAMMAR = "a name, a glob or name[key=value,...], e.g. bicubic+xqda[solver=eigh]; may be given more than once"


class Parser(argparse.ArgumentParser):
    """One line for a usage error."""

    def error(self, message: str) -> Any:
        raise UsageError(f"{message} (see {self.prog} --help)")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m bench", description="Benchmark of low-resolution person re-identification.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"bench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        command.add_argument(
            "--results",
            type=Path,
            metavar="DIR",
            default=ROOT / "results" / "measured",
            help="the results store (default: results/measured)",
        )
        return command

    def add_data(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--data",
            type=Path,
            metavar="DIR",
            default=os.environ.get("BENCH_DATA") or None,
            help="folder that holds VIPeR, CAVIAR4REID, ... (default: BENCH_DATA)",
        )

    listing = add("list", "What there is: methods, datasets or tables.")
    listing.add_argument("what", choices=("methods", "datasets", "tables"))
    listing.add_argument("--json", action="store_true", help="as JSON")

    run = add("run", "Run cells that have no result yet, and print their tables.")
    run.add_argument("--all", action="store_true", help="every method on every data set that is there")
    run.add_argument("-m", "--method", action="append", default=[], metavar="METHOD", help=GRAMMAR)
    run.add_argument("-d", "--dataset", action="append", default=[], metavar="DATASET", help=GRAMMAR)
    run.add_argument(
        "--splits",
        metavar="SPLITS",
        help="such as 0-9 or 0,3,5 (default: 0-9, or as many as a data set has of its own)",
    )
    run.add_argument("--seed", type=natural, default=0, help="seed of splits, low resolution and models (default: 0)")
    run.add_argument(
        "--profile",
        choices=PROFILES,
        help="training schedule of methods that have one (default: quick; smoke on drawn images)",
    )
    run.add_argument(
        "--jobs",
        type=positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes (default: all cores); the results of closed-form methods do not depend on it",
    )
    run.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="folder of the weights files that networks start from (default: BENCH_WEIGHTS)",
    )
    run.add_argument("--dry-run", action="store_true", help="only say what would be run, and for how long")
    run.add_argument("--force", action="store_true", help="compute finished and stale cells anew")
    run.add_argument(
        "--verify",
        action="store_true",
        help="compute one split of each stale row anew; where it repeats exactly, the row counts for the code as it is",
    )
    add_data(run)

    status = add("status", "Finished, failed and stale cells of the store.")
    status.add_argument("--json", action="store_true", help="as JSON")

    table = add("table", "Print a table of the paper from the store.")
    table.add_argument("table", metavar="{1,2,3,4,...}", help="see: list tables")
    table.add_argument("-d", "--dataset", action="append", default=[], metavar="GLOB", help="data sets to show")
    table.add_argument("--seed", type=natural, default=0, help="seed of the cells to show (default: 0)")
    table.add_argument("--format", choices=("markdown", "csv", "latex"), default="markdown")
    table.add_argument("--published", action="store_true", help="published values and differences beside the measured")
    table.add_argument(
        "--output", type=Path, metavar="DIR", help="also write tableN.md, tableN.csv and tableN.tex there"
    )

    compare = add("compare", "Compare two methods on one data set, paired over splits.")
    compare.add_argument("a", metavar="A")
    compare.add_argument("b", metavar="B")
    compare.add_argument("-d", "--dataset", required=True, metavar="DATASET")
    compare.add_argument("--seed", type=natural, default=0)
    compare.add_argument(
        "--profile",
        choices=PROFILES,
        help="training schedule of methods that have one (default: one that both have, with most splits)",
    )
    compare.add_argument("--json", action="store_true", help="as JSON")

    pretrain = add("pretrain", "Train the weights that networks start from, on images of your own; resumable.")
    pretrain.add_argument("name", metavar="NAME", help="a method or front-end that has something to pre-train")
    pretrain.add_argument("-d", "--dataset", metavar="DATASET", help="train on this data set's training part")
    pretrain.add_argument("--images", type=Path, metavar="DIR", help="train on the images below this folder")
    pretrain.add_argument("--output", type=Path, metavar="DIR", required=True, help="folder for the weights files")
    pretrain.add_argument("--seed", type=natural, default=0)
    pretrain.add_argument("--profile", choices=PROFILES, default="paper", help="training schedule")
    add_data(pretrain)
    for command in (run, pretrain):
        command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="for networks")
        command.add_argument("--compile", action="store_true", help="let torch.compile work on networks in training")
        command.add_argument(
            "--deterministic", action="store_true", help="on a GPU: only algorithms that repeat to the last bit"
        )

    prepare = add("prepare", "Read, check, convert and decode data sets once, so that runs find them in the cache.")
    prepare.add_argument("dataset", nargs="+", metavar="DATASET", help="a name, a glob or name[key=value,...]")
    prepare.add_argument("--seed", type=natural, default=0, help="seed of the low resolution (default: 0)")
    add_data(prepare)

    check = add("check", "Hold a method against the contract, on a small synthetic set, in seconds.")
    check.add_argument("method", metavar="METHOD", help="a name or name[key=value,...]")

    doctor = add("doctor", "This machine, and which data sets are there; named data sets are validated.")
    doctor.add_argument(
        "dataset", nargs="*", metavar="DATASET", help="a name or name[key=value,...]: exit code 3 if it cannot be used"
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.add_argument("--weights", type=Path, metavar="DIR", help="folder of weights files (default: BENCH_WEIGHTS)")
    add_data(doctor)
    return parser


def natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number of 0 or more is expected, not {text!r}")
    return int(text)


def positive(text: str) -> int:
    if natural(text) < 1:
        raise argparse.ArgumentTypeError("at least 1 is expected")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error the user can mend is one line on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be text: what is not is printed as escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = build_parser().parse_args(arguments)
        for problem in registry().problems:
            print(f"bench: warning: {problem}", file=sys.stderr)
        return COMMANDS[options.command](options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: interrupted; finished cells are kept, run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe (head, say) has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def list_command(options: argparse.Namespace) -> int:
    if options.what == "tables":
        from bench.report.published import table_kinds

        rows = [{"name": kind.name, "summary": kind.title} for kind in table_kinds().values()]
    elif options.what == "datasets":
        rows = [
            {"name": p.name, "summary": p.summary, "parameters": p.parameters}
            for p in registry().plugins
            if p.kind == "dataset"
        ]
    else:
        rows = list_methods()
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            extra = f"  [{row['parameters']}]" if row.get("parameters") else ""
            print(f"{row['name']:{width}}  {row['summary']}{extra}")
    return 0


def list_methods() -> list[dict[str, str]]:
    """Bare and composed names with what they are."""
    frontends = [p for p in registry().plugins if p.kind == "frontend"]
    rows = []
    for plugin in registry().plugins:
        if plugin.kind == "method":
            rows.append({"name": plugin.name, "summary": plugin.summary, "parameters": plugin.parameters})
            if plugin.attributes.get("scales", "front-end") == "front-end":
                rows += [
                    {
                        "name": f"{f.name}+{plugin.name}",
                        "summary": f"{plugin.name} behind {f.name}: {f.summary}",
                        "parameters": ", ".join(filter(None, (plugin.parameters, f.parameters))),
                    }
                    for f in frontends
                ]
    return rows


def run_command(options: argparse.Namespace) -> int:
    from bench.engine import run as runner

    if not (options.all or options.method or options.dataset):
        raise UsageError("say what to run: --all, or methods with -m and data sets with -d")
    settings = make_settings(options)
    plan = runner.plan(settings)
    for line in plan.skipped:
        print(f"skipped: {line}")
    if not plan.tasks:
        raise UsageError("no chosen method runs on a chosen data set that is there")
    if options.verify:
        return verify_stale(plan.tasks, settings)
    pending, problems = runner.todo(plan.tasks, settings.store, settings.force)
    for line in problems:
        print(f"bench: {line}", file=sys.stderr)
    stored = len(plan.tasks) - len(pending) - len(problems)
    print(f"{len(plan.tasks)} cells: {stored} finished before, {len(pending)} to run")
    if options.dry_run:
        expected = runner.estimate(pending, settings.store, settings.jobs)
        for task in pending:
            print(f"would run {task.cell}")
        if expected.unknown < len(pending):
            akin = f", for {expected.akin} cells from like ones" if expected.akin else ""
            print(f"about {runner.duration(expected.seconds)} from earlier cells{akin}")
        if expected.unknown:
            print(f"{expected.unknown} cells are of a kind never run before: no estimate; a run shows the time left")
        return 0
    report = runner.run(pending, settings)
    print_tables(settings, [task for task in plan.tasks if task not in [done.task for done in report.failed]])
    for done in report.failed:
        print(f"bench: {done.task.cell} failed: {done.error}", file=sys.stderr)
    return 1 if report.failed or problems else 0


def verify_stale(tasks: Sequence[Any], settings: "Settings") -> int:
    from bench.engine.verify import verify

    found = 0
    failed = 0
    for line, well in verify(tasks, settings):
        print(line, flush=True)
        found += 1
        failed += not well
    if not found:
        print("no stale cell among these")
    return 1 if failed else 0


def make_settings(options: argparse.Namespace) -> "Settings":
    from bench.engine import run as runner
    from bench.engine.cache import Cache, cache_folder
    from bench.engine.store import Store
    from bench.plugin.weights_files import weights_folder

    return runner.Settings(
        store=Store(options.results),
        cache=Cache(cache_folder()),
        root=options.data and Path(options.data),
        methods=options.method,
        datasets=options.dataset,
        splits=None if options.splits is None else runner.parse_splits(options.splits),
        seed=options.seed,
        profile=options.profile,
        jobs=options.jobs,
        devices=runner.gpus(runner.resolve_device(options.device)),
        force=options.force,
        weights=weights_folder(options.weights),
        compile=options.compile,
        deterministic=options.deterministic,
    )


def print_tables(settings: "Settings", tasks: Sequence[Any]) -> None:
    """The main table of each data set of a run."""
    from bench.report import tables
    from bench.report.published import find_table

    results, _ = settings.store.read_all()
    shown: dict[str, list[str]] = {}
    for dataset in dict.fromkeys(task.cell.dataset for task in tasks):
        name = tables.main_table(dataset)
        if name and any(r.cell.dataset == dataset and r.cell.seed == settings.seed for r in results):
            shown.setdefault(name, []).append(dataset)
    for name, datasets in shown.items():
        table = tables.make_table(find_table(name), results, datasets, settings.seed)
        print("\n" + tables.render(table, "markdown", with_published=False), end="")


def status_command(options: argparse.Namespace) -> int:
    from bench.engine.store import Store
    from bench.report.status import as_text, summarise

    rows, problems = summarise(Store(options.results))
    print(json.dumps({"cells": rows, "problems": problems}, indent=1) if options.json else as_text(rows))
    for line in problems:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if problems else 0


def table_command(options: argparse.Namespace) -> int:
    from bench.engine.store import Store
    from bench.report import tables
    from bench.report.published import find_table

    kind = find_table(options.table)
    results, problems = Store(options.results).read_all()
    table = tables.make_table(kind, results, options.dataset, options.seed)
    print(tables.render(table, options.format, options.published), end="")
    if options.output:
        for path in tables.write_table(table, options.output):
            print(f"wrote {path}", file=sys.stderr)
    for line in problems:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if problems else 0


def compare_command(options: argparse.Namespace) -> int:
    from bench.engine.store import Store
    from bench.report.compare import as_text, compare

    results, _ = Store(options.results).read_all()
    comparison = compare(results, options.a, options.b, options.dataset, options.seed, options.profile)
    print(json.dumps(comparison, indent=1) if options.json else as_text(comparison))
    return 0


def pretrain_command(options: argparse.Namespace) -> int:
    from bench.engine.cache import Cache, cache_folder
    from bench.engine.run import resolve_device
    from bench.learning import pretrain

    root = options.data and Path(options.data)
    job = pretrain.make_job(options.name, options.dataset, options.images, root, Cache(cache_folder()))
    print(f"{options.name} on {job.source}: {len(job.images):,} images")
    how = (options.seed, options.profile, resolve_device(options.device), pretrain.reporter())
    for path in pretrain.run(job, options.output, *how, options.compile, options.deterministic):
        print(f"wrote {path}")
    return 0


def check_command(options: argparse.Namespace) -> int:
    from bench.engine.contract import check_method

    failures = 0
    for name, problem in check_method(options.method):
        print(f"{'ok  ' if problem is None else 'FAIL'} {name}{'' if problem is None else ': ' + problem}", flush=True)
        failures += problem is not None
    print(f"{options.method}: {'the contract holds' if not failures else f'{failures} checks failed'}")
    return 1 if failures else 0


def prepare_command(options: argparse.Namespace) -> int:
    from bench.engine.cache import Cache, cache_folder
    from bench.engine.prepare import prepare
    from bench.errors import DataError

    code = 0
    for done in prepare(options.dataset, options.data and Path(options.data), options.seed, Cache(cache_folder())):
        if done.ready:
            print(done.text, flush=True)
        elif done.named:
            print(f"bench: {done.text}", file=sys.stderr)
            code = DataError.exit_code
        else:
            print(f"skipped: {done.text}")
    return code


def doctor_command(options: argparse.Namespace) -> int:
    from bench.engine.doctor import as_text, examine, incomplete

    findings = examine(options.data and Path(options.data), options.results, options.dataset, options.weights)
    print(json.dumps(findings, indent=1) if options.json else as_text(findings, named=bool(options.dataset)))
    if options.dataset and (reasons := incomplete(findings)):
        raise DataError("; ".join(reasons))
    return 0


COMMANDS = {
    "list": list_command,
    "run": run_command,
    "status": status_command,
    "table": table_command,
    "compare": compare_command,
    "pretrain": pretrain_command,
    "prepare": prepare_command,
    "check": check_command,
    "doctor": doctor_command,
}
