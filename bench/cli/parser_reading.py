"""The words of commands that say what stored cells hold."""

import argparse
from pathlib import Path

from bench.cli.parser_shared import PROFILES, Add, add_data, add_json
from bench.cli.values import seed


def add_reading(add: Add) -> None:
    add_status(add)
    add_table(add)
    add_plot(add)
    add_report(add)
    add_compare(add)
    add_ranks(add)


def add_status(add: Add) -> None:
    command = add("status", "Finished, failed and stale cells of the store.")
    command.add_argument(
        "--clean", action="store_true", help="remove failures of plug-ins that are gone, and of cells finished since"
    )
    add_json(command)


def add_table(add: Add) -> None:
    command = add("table", "Print a table of the paper from the store.")
    command.add_argument("table", nargs="?", metavar="{1,2,3,4,...}", help="see: list tables")
    command.add_argument("--all", action="store_true", help="write every table, as a page of its own, to --output")
    add_shown(command)
    command.add_argument(
        "--columns",
        type=lambda text: tuple(filter(None, (part.strip() for part in text.split(",")))),
        default=(),
        metavar="COLUMNS",
        help="further columns, such as map,seconds,memory",
    )
    command.add_argument("--format", choices=("markdown", "csv", "latex", "html", "json"), default="markdown")
    command.add_argument("--standalone", action="store_true", help="LaTeX: a document that compiles as it is")
    command.add_argument(
        "--alias",
        action="append",
        default=[],
        metavar="NAME=ALIAS",
        help="print a method or data set under another name; may be given more than once",
    )
    command.add_argument("--aliases", type=Path, metavar="FILE", help="likewise, a NAME=ALIAS on each line of a file")
    command.add_argument(
        "--published", action="store_true", help="published values and differences beside the measured"
    )
    command.add_argument("--output", type=Path, metavar="DIR", help="also write files there")


def add_plot(add: Add) -> None:
    command = add("plot", "Draw a figure from the store, for one column of a paper.")
    command.add_argument("kind", metavar="KIND", help="see: list figures")
    add_shown(command)
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="a file that ends in .png, .pdf or .svg"
    )
    command.add_argument("--split", type=seed, default=0, metavar="N", help="of the cell whose images are shown")
    command.add_argument(
        "--probe", action="append", default=[], metavar="NAME", help="an image's file, or a person, to show; for images"
    )
    add_data(command)


def add_report(add: Add) -> None:
    command = add("report", "Write everything that was measured as one HTML file, which needs no network.")
    add_shown(command)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="a file that ends in .html")
    command.add_argument(
        "--with-images",
        action="store_true",
        help="also show images of the data sets: the file is then for research, as they are",
    )
    add_data(command)


def add_shown(command: argparse.ArgumentParser) -> None:
    """Which stored cells a table or a figure is of."""
    command.add_argument("-m", "--method", action="append", default=[], metavar="METHOD", help="methods to show")
    command.add_argument("-d", "--dataset", action="append", default=[], metavar="DATASET", help="data sets to show")
    command.add_argument("--seed", type=seed, default=0, help="seed of the cells to show (default: 0)")
    command.add_argument("--profile", choices=PROFILES, help="show cells of this training schedule only")


def add_compare(add: Add) -> None:
    command = add("compare", "Compare two methods on one data set, paired over splits.")
    command.add_argument("a", metavar="A")
    command.add_argument("b", metavar="B")
    command.add_argument("-d", "--dataset", required=True, metavar="DATASET")
    command.add_argument("--seed", type=seed, default=0)
    command.add_argument(
        "--profile",
        choices=PROFILES,
        help="training schedule of methods that have one (default: one that both have, with most splits)",
    )
    add_json(command)


def add_ranks(add: Add) -> None:
    command = add("ranks", "Write the ten nearest gallery images of each probe of a stored cell as CSV.")
    command.add_argument("method", metavar="METHOD")
    command.add_argument("-d", "--dataset", required=True, metavar="DATASET", help="a name or name[key=value,...]")
    command.add_argument("--split", type=seed, default=0, metavar="N", help="the split (default: 0)")
    command.add_argument("--seed", type=seed, default=0, help="seed of the cell (default: 0)")
    command.add_argument("--profile", choices=PROFILES, help="training schedule of a method that has one")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there (default: standard output)")
