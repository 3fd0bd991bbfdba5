"""How time grows with size: kept as rows of a CSV file, with exponents, and drawn.

    python -m tests.benchmarks.bench_gallery --csv growth.csv     # and others that take --csv
    python -m tests.benchmarks.growth growth.csv -o growth.svg

One row a measurement: path, what its size counts, size, seconds, machine.  A path that is measured again takes the
place of its earlier rows.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench.engine.provenance import machine

COLUMNS = ("path", "unit", "size", "seconds", "machine")


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log time over log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def keep(file: Path | None, path: str, unit: str, seconds: Mapping[int, float]) -> None:
    """Print a path's exponent, and keep its measurements where a file is given.  seconds: by size, four or more."""
    print(f"{path}: time grows as {unit}^{exponent(list(seconds), list(seconds.values())):.2f}")
    if file is None:
        return
    rows = pd.DataFrame([(path, unit, n, float(f"{s:.3g}"), machine()) for n, s in seconds.items()], columns=COLUMNS)
    if file.exists():
        before = pd.read_csv(file)
        rows = pd.concat([before[before.path != path], rows])
    rows.to_csv(file, index=False)


def main() -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    groups = list(pd.read_csv(given.file).groupby("path", sort=False))
    across = min(3, len(groups))
    down = -(-len(groups) // across)
    figure = Figure(figsize=(2.3 * across, 1.9 * down), layout="constrained")
    for place, (path, rows) in enumerate(groups, 1):
        axes = figure.add_subplot(down, across, place)
        axes.loglog(rows["size"], rows.seconds, "o-", markersize=3, linewidth=1)
        axes.set_title(f"{path}\n{rows.unit.iloc[0]}^{exponent(rows['size'], rows.seconds):.2f}", fontsize=7)
        axes.set_xlabel(rows.unit.iloc[0], fontsize=7)
        axes.set_ylabel("seconds", fontsize=7)
        axes.tick_params(labelsize=6)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
    with rc_context({"svg.fonttype": "none"}):  # text stays text
        figure.savefig(given.output, metadata={"Date": None} if given.output.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
