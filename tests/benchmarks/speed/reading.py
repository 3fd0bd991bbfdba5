"""`table`, `status` and `report` against a plain script that reads the same files into a frame."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.engine.record import FORMAT
from bench.engine.store import Store
from bench.plugin.registry import registry
from tests import cells
from tests.benchmarks.speed.case import Case, Sides
from tests.benchmarks.speed.commands import bench, python, stored

SPLITS = range(10)
METHODS = ("bicubic+xqda", "bicubic+nfst", *(f"bicubic+l2[variant={k}]" for k in range(48)))
PEOPLE, PROBES = 316, 632
PLAIN = """
import glob, json, sys
import pandas
rows = []
for file in glob.glob(sys.argv[1]):
    with open(file) as opened:
        found = json.load(opened)
    cell, cmc = found["cell"], found["record"]["cmc"]
    rows.append([cell["dataset"], cell["method"], *(100 * cmc[rank - 1] for rank in (1, 5, 10, 20))])
frame = pandas.DataFrame(rows, columns=["dataset", "method", 1, 5, 10, 20])
groups = frame.groupby(["dataset", "method"])
means = {f"{d} {m} {rank}": value for rank, row in groups.mean().items() for (d, m), value in row.items()}
print(json.dumps([len(frame), {f"{d} {m}": count for (d, m), count in groups.size().items()}, means]))
"""


def datasets() -> list[str]:
    """Twenty that the tables of low resolution show."""
    names = [name for name in registry().names("dataset") if name.startswith("mlr_") and "manifest" not in name]
    names += ["caviar", "synthetic"]
    return [*names, *(f"{name}[gallery_draws=10]" for name in names)]


def make_store(size: int, folder: Path) -> None:
    """Cells with a CMC of 316 ranks and the ranks of 632 probes, as on MLR-VIPeR, each with a curve of its own."""
    random, store = np.random.default_rng(0), Store(folder)
    ranks = tuple(float(k) for k in range(1, PROBES + 1))
    for dataset, method in islice(product(datasets(), METHODS), -(-size // len(SPLITS))):
        first = cells.cell(method, dataset)
        for split in SPLITS[:size]:
            cell = cells.cell(method, dataset, split, depends=first.depends)
            curve = np.sort(random.random(PEOPLE)).tolist()
            record = cells.record([0], cmc=tuple(curve), probe_ranks=ranks)
            file = {"format": FORMAT, "fingerprint": cell.fingerprint, "cell": asdict(cell), "record": record}
            store.folder_of(cell).mkdir(parents=True, exist_ok=True)
            store.path(cell).write_bytes(msgspec.json.encode(file))


def sides(ours: Callable[[Path], Any], part: int, size: int, folder: Path) -> Sides:
    """part: of what the plain script prints, the number of cells, the splits of each row, or the means."""
    make_store(size, folder)
    return Sides(lambda: ours(folder), lambda: json.loads(python("-c", PLAIN, stored(folder)).stdout)[part])


def table(folder: Path) -> dict[str, float]:
    shown = [word for name in datasets() if (folder / name).is_dir() for word in ("-d", name)]
    rows = json.loads(bench("table", "2", *shown, "--format", "json", "--results", folder).stdout)["rows"]
    return {f"{row['dataset']} {row['method']} {row['rank']}": row["mean"] for row in rows if row["mean"] is not None}


def status(folder: Path) -> dict[str, int]:
    rows = json.loads(bench("status", "--json", "--results", folder).stdout)["cells"]
    return {f"{row['dataset']} {row['method']}": len(row["finished"]) for row in rows}


def report(folder: Path) -> int:
    said = bench("report", "-o", folder / "report.html", "--results", folder).stderr
    return int(re.findall(r"report\.html: ([\d,]+) cell", said)[0].replace(",", ""))


LOADED = "json.load of the same files, and pandas"
CASES = (
    Case("table", LOADED, partial(sides, table, 2), 10_000, "cells", 10, tolerance=1e-4),
    Case("status", LOADED, partial(sides, status, 1), 10_000, "cells", 10),
    Case("report", LOADED, partial(sides, report, 0), 10_000, "cells", 10),
)
