"""What the harness adds to a cell, and to cells that are finished."""

from pathlib import Path

import numpy as np

from bench.cli.plugins import added_plugins
from tests.benchmarks.speed.case import Case, Sides
from tests.benchmarks.speed.commands import bench, python, stored

PLUGINS = Path(__file__).parent / "plugins"
DATASET = "synthetic[identities=50]"
SPLITS = 50
COUNT = """
import glob, json, sys
files = sorted(glob.glob(sys.argv[1]))
print(sum("record" in json.load(open(file)) for file in files))
"""


def plan_nothing(cells: int, folder: Path):  # type: ignore[no-untyped-def]
    """Tasks of the method that does nothing, and the settings to run them with."""
    from bench.engine.cache import Cache
    from bench.engine.plan import Settings, plan
    from bench.engine.store import Store

    methods = [f"nothing[variant={k}]" for k in range(-(-cells // SPLITS))]
    settings = Settings(
        Store(folder / "results"), Cache(folder / "cache"), None, methods=methods, datasets=[DATASET],
        splits=range(min(cells, SPLITS)), force=True,
    )  # fmt: skip
    return plan(settings).tasks[:cells], settings


def cell(size: int, folder: Path) -> Sides:
    """Cells whose method costs nothing, one after the other, against split, distances and scores alone."""
    from bench.engine.run import run_task
    from bench.protocol.scoring import Trial
    from bench.protocol.splits import gallery_draws

    with added_plugins([PLUGINS]):
        tasks, settings = plan_nothing(size, folder)

    def ours() -> list[float | None]:
        with added_plugins([PLUGINS]):
            return [run_task(task, settings, wait=True).rank1 for task in tasks]

    def plain() -> list[float]:
        found = []
        for task in tasks:
            data = task.data
            tested = np.isin(data.identity, data.split(task.cell.split, 0).test)
            probe, gallery = np.flatnonzero(tested & data.probe), np.flatnonzero(tested & ~data.probe)
            areas, people = data.images.areas, data.identity[gallery]
            distances = np.abs(areas[probe][:, None] - areas[gallery])
            trial = Trial(data.identity[probe], people, gallery_draws(people, "auto", 0, task.cell.split))
            found.append(float(trial.score(distances).cmc[0]))
        return found

    return Sides(ours, plain, {"ms a cell (aim: below 10)": lambda seconds: 1000 * seconds / size})


def run_finished(size: int, folder: Path) -> Sides:
    """`run` where nothing is left to do, against counting the same files."""
    from bench.engine.run import run_task

    with added_plugins([PLUGINS]):
        tasks, settings = plan_nothing(size, folder)
        for task in tasks:
            run_task(task, settings, wait=True)
    methods = [word for method in settings.methods for word in ("-m", method)]
    words = ["--plugins", PLUGINS, "--results", settings.store.folder, "--jobs", 1, *methods, "-d", DATASET]
    splits = f"0-{min(size, SPLITS) - 1}"

    def ours() -> int:
        said = bench("run", *words, "--splits", splits).stdout
        return int(said.split(" finished before")[0].rsplit(None, 1)[-1].replace(",", ""))

    return Sides(
        ours,
        lambda: int(python("-c", COUNT, stored(settings.store.folder)).stdout),
        {"seconds (aim: 1)": lambda seconds: seconds},
    )


CASES = (
    Case("cell", "split, distances and scores without the harness", cell, 50, "cells", 2),
    Case("run-finished", "json.load of the same files", run_finished, 500, "finished cells", 2),
)
