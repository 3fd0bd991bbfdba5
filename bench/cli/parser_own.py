"""The words of commands about people's own work: their method, their images, and their going on from the numbers."""

from pathlib import Path

from bench.cli.parser_shared import Add
from bench.cli.values import count, parse_duration


def add_own(add: Add) -> None:
    add_export(add)
    add_init_method(add)
    add_init_dataset(add)
    add_features(add)
    add_speed(add)


def add_export(add: Add) -> None:
    command = add("export", "Write every cell and rank as one table, of the columns of bench.results.")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", required=True)
    command.add_argument(
        "--format", choices=("csv", "parquet"), help="by default what the file's name ends in; parquet needs pyarrow"
    )
    command.add_argument("--ranks", type=ranks, metavar="RANKS", help="such as 1,5,10,20 (default: all that there are)")


def add_init_method(add: Add) -> None:
    command = add("init-method", "Write a commented file for a method of your own, which keeps the contract as it is.")
    command.add_argument("name", metavar="NAME", help="small letters, digits and underscores, such as my_method")
    command.add_argument("--front-end", action="store_true", help="for a front-end in place of a method")


def add_init_dataset(add: Add) -> None:
    command = add("init-dataset", "List images of your own in a CSV file, by what their names say, and validate it.")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="images are looked for at any depth below it")
    command.add_argument(
        "--pattern",
        required=True,
        metavar="PATTERN",
        help="what a path below the folder says, such as '{camera}/{identity}_{frame}.jpg': identity and camera are"
        " needed, resolution (lr or hr) and split (train, test, distractor) are taken, other fields are passed over;"
        " {frame:d} is digits only",
    )
    command.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="in the folder or above it")
    command.add_argument(
        "--as",
        dest="dataset",
        metavar="DATASET",
        help="the data set that is to read the list, with its parameters but for the list, such as"
        " 'lr_manifest[probe_camera=b]' (default: one that shrinks the probe side)",
    )
    command.add_argument(
        "--min-cameras",
        type=count,
        default=1,
        metavar="N",
        help="list only people whom so many cameras see (default: 1)",
    )


def add_features(add: Add) -> None:
    command = add("features", "Describe pictures outside any protocol, by a method that need not be fitted for it.")
    command.add_argument("method", metavar="METHOD", help="a name, front-end+name, or either with [key=value,...]")
    command.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGES", help="folders, with all images below them, or image files"
    )
    command.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="an .npz file")
    command.add_argument("--weights", type=Path, metavar="DIR", help="folder of weights files (default: BENCH_WEIGHTS)")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="for networks")


def add_speed(add: Add) -> None:
    what = "Measure every hot path against the best public alternative, or a plain reference; in a clone."
    command = add("speed", what)
    command.add_argument(
        "--only", action="append", default=[], metavar="GLOB", help="cases by name; may be given more than once"
    )
    command.add_argument("--list", action="store_true", help="only say which cases there are")
    command.add_argument(
        "--budget",
        dest="time",
        type=parse_duration,
        metavar="TIME",
        help="about how long to measure, shared evenly by the cases (default: 6s each; none has fewer than six pairs)",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write what was measured, for --against")
    command.add_argument(
        "--against", type=Path, metavar="FILE", help="compare with an earlier run: exit code 1 for a case slower now"
    )


def ranks(text: str) -> tuple[int, ...]:
    """Different ranks, rising."""
    return tuple(sorted({count(part.strip()) for part in text.split(",")}))
