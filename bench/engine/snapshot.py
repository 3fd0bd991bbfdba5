"""A store that is looked through for many cells at once."""

from collections.abc import Sequence
from pathlib import Path

from bench.engine.identity import Cell
from bench.engine.store import Result, Store, holds_finished, prefix
from bench.files import names


class Snapshot(Store):
    """A store whose folders are taken to hold what they did when each was first asked for: one listing a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._listed: dict[Path, dict[str, list[str]]] = {}
        self._last: tuple[Cell, list[Result]] | None = None

    def at_place(self, cell: Cell) -> list[str]:
        folder = self.folder_of(cell)
        if folder not in self._listed:
            places = self._listed[folder] = {}
            for name in filter(holds_finished, names(folder)):
                places.setdefault(name.rpartition("-")[0] + "-", []).append(name)
        return self._listed[folder].get(prefix(cell), [])

    def others(self, cell: Cell, at_place: Sequence[str] | None = None) -> list[Result]:
        if self._last is None or self._last[0] != cell:
            self._last = cell, super().others(cell, at_place)
        return self._last[1]
