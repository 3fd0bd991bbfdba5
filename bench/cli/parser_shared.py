"""Words that several commands have."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

Add = Callable[[str, str], argparse.ArgumentParser]
"""Declares a command: its name, and what it does."""

PROFILES = ("smoke", "quick", "paper")
GRAMMAR = "a name, a glob or name[key=value,...], e.g. bicubic+xqda[solver=eigh]; may be given more than once"


def add_choice(command: argparse.ArgumentParser, splits: str = "0-9, or as many as a data set has of its own") -> None:
    command.add_argument("-m", "--method", action="append", default=[], metavar="METHOD", help=GRAMMAR)
    command.add_argument("-d", "--dataset", action="append", default=[], metavar="DATASET", help=GRAMMAR)
    command.add_argument(
        "--splits",
        metavar="SPLITS",
        help=f"such as 0-9 or 0,3,5 (default: {splits})",
    )


def add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=os.environ.get("BENCH_DATA") or None,
        help="folder that holds VIPeR, CAVIAR4REID, ... (default: BENCH_DATA)",
    )


def add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="for networks")
    command.add_argument("--compile", action="store_true", help="let torch.compile work on networks in training")
    command.add_argument(
        "--deterministic", action="store_true", help="on a GPU: only algorithms that repeat to the last bit"
    )


def add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="as JSON")
