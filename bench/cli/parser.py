"""The words of the command line; only what every command needs is imported."""

import argparse
import sys
from pathlib import Path
from typing import Any

from bench import __version__
from bench.cli.parser_own import add_own
from bench.cli.parser_reading import add_reading
from bench.cli.parser_shared import PROFILES, Add, add_choice, add_data, add_json, add_training
from bench.cli.values import jobs, parse_bytes, parse_duration, seed
from bench.errors import UsageError

EXIT_CODES = """exit codes: 0 ok, 1 a cell failed or a check is out of tolerance, 2 usage, 3 data missing or unreadable,
4 out of time (--budget), 130 interrupted, 143 terminated (finished cells are kept; run the same command again to go
on)"""


class Parser(argparse.ArgumentParser):
    """One line for a usage error."""

    def error(self, message: str) -> Any:
        raise UsageError(f"{message} (see {self.prog} --help)")


def build_parser() -> argparse.ArgumentParser:
    prog = "bench" if Path(sys.argv[0]).stem == "bench" else "python -m bench"
    parser = Parser(prog=prog, description="Benchmark of low-resolution person re-identification.", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"bench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        command.add_argument(
            "--results",
            type=Path,
            metavar="DIR",
            help="read and write this store alone (default: results/measured, and results/local or BENCH_RESULTS)",
        )
        command.add_argument(
            "--plugins",
            type=Path,
            action="append",
            default=[],
            metavar="DIR",
            help="a folder of further methods and data sets; may be given more than once (also: BENCH_PLUGINS)",
        )
        return command

    for declare in (
        add_list,
        add_run,
        add_reading,
        add_adopt,
        add_pretrain,
        add_others,
        add_own,
    ):
        declare(add)
    return parser


def add_list(add: Add) -> None:
    command = add("list", "What there is: methods, datasets, tables or figures.")
    command.add_argument("what", choices=("methods", "datasets", "tables", "figures"))
    add_json(command)


def add_run(add: Add) -> None:
    command = add("run", "Run cells that have no result yet, and print their tables.")
    every = "every method on every data set that is there; on drawn people none that trains"
    command.add_argument("--all", action="store_true", help=every)
    add_choice(command)
    command.add_argument("--seed", type=seed, default=0, help="seed of splits, low resolution and models (default: 0)")
    command.add_argument(
        "--profile",
        choices=PROFILES,
        help="training schedule of methods that have one (default: quick; smoke on drawn images)",
    )
    command.add_argument(
        "--jobs",
        type=jobs,
        metavar="N",
        help="processes (default: all cores, and for networks one a GPU; several share a GPU when N is above their"
        " number); the results of closed-form methods do not depend on it; with --backend: workers at a time",
    )
    command.add_argument(
        "--backend",
        choices=("dask",),
        help="compute cells on the workers of a Dask scheduler (default: on this machine)",
    )
    command.add_argument("--scheduler", metavar="ADDRESS", help="of Dask: tcp://host:8786, or a scheduler file")
    command.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="weights files that networks start from, before those that plug-ins bring (default: BENCH_WEIGHTS)",
    )
    command.add_argument(
        "--memory",
        type=parse_bytes,
        metavar="SIZE",
        help="what distances may take, such as 8G, at least 256M, of all cells that are computed at a time, with"
        " --backend of each: larger ones are scored block by block, to the same bits, and not kept (default: half of"
        " the machine's)",
    )
    command.add_argument(
        "--enhancers",
        default="0",
        metavar="SPLITS",
        help="splits whose cells keep the networks that enhance images, under 1 MB each, for figures (default: 0)",
    )
    command.add_argument("--dry-run", action="store_true", help="only say what would be run, and for how long")
    command.add_argument(
        "--budget",
        type=parse_duration,
        metavar="TIME",
        help="end within this time, such as 14m, 90s or 1h30m: trainings write checkpoints, finished cells are kept,"
        " and the same command goes on",
    )
    command.add_argument(
        "--campaign",
        metavar="NAME",
        help="run the commands in results/campaigns/NAME.campaign, or in a file of that path, in their order",
    )
    stale = command.add_mutually_exclusive_group()
    stale.add_argument("--force", action="store_true", help="compute finished and stale cells again")
    stale.add_argument("--keep", action="store_true", help="keep stale cells, of methods given by name too")
    command.add_argument(
        "--verify", action="store_true", help="compute a random split of each stored row again and compare"
    )
    add_data(command)
    add_training(command)


def add_adopt(add: Add) -> None:
    what = "Move cells of your own from results/local into results/measured, as they are: those of -m, -d or --splits."
    command = add("adopt", what)
    add_choice(command, splits="all that are there")
    command.add_argument(
        "--enhancers",
        action="store_true",
        help="also what they keep of networks that enhance images, which may derive from files under other terms",
    )


def add_pretrain(add: Add) -> None:
    command = add("pretrain", "Train the weights that networks start from, on images of your own; resumable.")
    command.add_argument(
        "name", metavar="NAME", help="a method or front-end that has something to pre-train, or name[key=value,...]"
    )
    command.add_argument("-d", "--dataset", metavar="DATASET", help="train on its training part, or on all of it")
    command.add_argument("--images", type=Path, metavar="DIR", help="train on the images below this folder")
    command.add_argument("--output", type=Path, metavar="DIR", help="folder for the weights files, log and checkpoints")
    command.add_argument("--start", type=Path, metavar="FILE", help="start from these weights instead of random ones")
    command.add_argument(
        "--time-limit",
        type=parse_duration,
        metavar="TIME",
        help="stop after so long, such as 30m or 1h30m, with a checkpoint that the same command goes on from",
    )
    command.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="train nothing: print how well these weights match people as they are, on the data set named, else on all",
    )
    command.add_argument("--seed", type=seed, default=0)
    command.add_argument("--profile", choices=PROFILES, default="paper", help="training schedule")
    add_data(command)
    add_training(command)


def add_others(add: Add) -> None:
    prepare = add("prepare", "Read, check, convert and decode data sets once, so that runs find them in the cache.")
    prepare.add_argument("dataset", nargs="+", metavar="DATASET", help="a name, a glob or name[key=value,...]")
    prepare.add_argument("--seed", type=seed, default=0, help="seed of the low resolution (default: 0)")
    add_data(prepare)
    check = add("check", "Check that a method or front-end keeps the contract, on a small synthetic set, in seconds.")
    check.add_argument("method", metavar="METHOD", help="a name or name[key=value,...]")
    doctor = add("doctor", "This machine, and which data sets are there; named data sets are validated.")
    doctor.add_argument(
        "dataset", nargs="*", metavar="DATASET", help="a name or name[key=value,...]: exit code 3 if it cannot be used"
    )
    doctor.add_argument("--weights", type=Path, metavar="DIR", help="folder of weights files (default: BENCH_WEIGHTS)")
    add_json(doctor)
    add_data(doctor)
