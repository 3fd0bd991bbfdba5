"""Each probe's outcome beside its image's size, from cells and the table of images of their data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.engine import inventory
from bench.engine.inventory import Inventory
from bench.engine.record import Record
from bench.engine.store import Result
from bench.errors import BenchError
from bench.protocol.fusion import resolution_ratio
from bench.report.groups import Group


@dataclass(frozen=True)
class Outcomes:
    """The probes of one cell, in order.

    area: (P,) pixels.  ratio: (P,) down-sampling ratio as text, empty where the image is as it was taken.
    relative: (P,) r of Eq. 7.  hits: (P,) how often the match comes first, in [0, 1], None where the cell does not say.
    ranks: (P,) expected rank of the match.
    """

    area: np.ndarray
    ratio: np.ndarray
    relative: np.ndarray
    hits: np.ndarray | None
    ranks: np.ndarray


class Probes:
    """Outcomes of the cells of some stores; tables of images are read once.  problems: lines, for those that cannot."""

    def __init__(self, stores: Sequence[Path]) -> None:
        self._stores = stores
        self._tables: dict[tuple[str, str], Inventory | None] = {}
        self.problems: dict[str, None] = {}

    def table(self, result: Result) -> Inventory | None:
        """The table of a cell's images, None where there is none that can be read."""
        key = result.cell.dataset, result.cell.data
        if key not in self._tables:
            self._tables[key] = None
            try:
                self._tables[key] = inventory.find(self._stores, result.cell)
            except BenchError as error:
                self.problems[str(error)] = None
        return self._tables[key]

    def of(self, group: Group) -> list[Outcomes]:
        """The outcomes of each cell of a group; none where one cannot be told."""
        found = [self.of_cell(result) for result in group.results.values()]
        return [outcomes for outcomes in found if outcomes is not None] if None not in found else []

    def of_cell(self, result: Result) -> Outcomes | None:
        table, record = self.table(result), result.finished
        if table is None:
            return None
        try:
            split = table.split(result.cell.split, result.cell.seed)
        except BenchError as error:
            self.problems[str(error)] = None
            return None
        rows, gallery = table.probes(split), table.gallery(split)
        if len(rows) != len(record.probe_ranks) or len(gallery) != record.sizes.gallery_images:
            self.problems[f"the table of images of {result.cell.dataset} does not fit {result.path}"] = None
            return None
        area = table.area[rows]
        ratio = np.array([table.images[row].ratio for row in rows])
        relative = resolution_ratio(area, table.area[gallery])
        return Outcomes(area, ratio, relative, hits_of(record), np.array(record.probe_ranks))


def hits_of(record: Record) -> np.ndarray | None:
    """How often each probe's match comes first: as it was kept or, of a single gallery without ties, by its rank."""
    if record.probe_hits:
        return np.array(record.probe_hits)
    hits = (np.array(record.probe_ranks) == 1).astype(float)
    single = record.sizes.gallery_draws == 1 and abs(hits.mean() - record.cmc[0]) < 1e-9
    return hits if single else None
