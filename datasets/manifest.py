import os
from collections.abc import Iterator
from pathlib import Path

from bench.errors import DataError, counted, listing
from bench.plugin.base import Dataset, Photo
from datasets._manifest import Faults, Row, read_manifest


class Manifest(Dataset):
    """Your own images at full resolution, listed in a CSV file: manifest[file=people.csv].

    Columns, in any order: ``path`` (relative to the file's folder and below it), ``person``, ``camera``, and optionally
    ``resolution`` (``lr``: probe side, ``hr``: gallery side) and ``split`` (``train`` or ``test``: one given split;
    ``distractor``: in every gallery and nobody's match; empty for all people: seeded random halves).

    file: the manifest.  probe_camera: the camera of the probe side, where there is no ``resolution`` column; the first
    of two by name when it is not given.
    """

    name = "manifest"
    version = 1
    listed_in = "file"

    def __init__(self, file: Path | None = None, probe_camera: str | None = None) -> None:
        self.file = file
        self.probe_camera = probe_camera

    def _rows(self, look: bool = True) -> tuple[list[Row], dict[int, bool]]:
        """All rows, and line -> whether its image is on the probe side; DataError for every fault of the list.

        look: for the images, too.
        """
        if self.file is None:
            raise DataError(f"{self.name} reads your own images: name their list, {self.name}[file=people.csv]")
        faults = Faults(self.file)
        rows = read_manifest(self.file, faults, look)
        sides = self._sides(rows, self.file)
        for row in rows:
            if row.split == "distractor" and sides[row.line]:
                faults.add(row.line, "a distractor is a gallery image, but this one is on the probe side")
        people: dict[str, set[bool]] = {}
        for row in rows:
            if row.split != "distractor":
                people.setdefault(row.person, set()).add(sides[row.line])
        for row in rows:
            if len(people.get(row.person, ())) == 1:
                side = "gallery" if people.pop(row.person).pop() else "probe"
                faults.add(row.line, f"person {row.person} has no image on the {side} side")
        faults.check()
        return rows, sides

    def read(self, root: Path) -> Iterator[Photo]:
        """Yield the images in the order of their paths; DataError, with file and lines, for all faults of the list."""
        rows, on_probe_side = self._rows()
        # Draws count images: in the order of paths, the order of rows does not matter.
        for row in sorted(rows, key=lambda row: os.path.normcase(row.path).split(os.sep)):
            distractor = row.split == "distractor"
            yield Photo(row.path, row.person, row.camera, probe=on_probe_side[row.line], distractor=distractor)

    def _sides(self, rows: list[Row], file: Path) -> dict[int, bool]:
        """Line -> whether its image is on the probe side."""
        if rows[0].resolution:
            if self.probe_camera is not None:
                raise DataError(f"{file} has a resolution column, which says the sides: leave probe_camera out")
            return {row.line: row.resolution == "lr" for row in rows}
        cameras = sorted({row.camera for row in rows})
        camera = self.probe_camera
        if camera is None and len(cameras) == 2:
            camera = cameras[0]
        if camera not in cameras:
            fault = f"has no camera {camera!r}" if camera else f"has {counted(len(cameras), 'camera')}"
            reason = "" if camera else " and no resolution column"
            raise DataError(f"{file} {fault}{reason}: give probe_camera, one of {listing(cameras, 12)}")
        return {row.line: row.camera == camera for row in rows}

    def splits(self, root: Path) -> list[tuple[set[str], set[str]]] | None:
        """The one split of the ``split`` column, None where it is empty or missing."""
        rows, _ = self._rows(look=False)
        train, test = ({row.person for row in rows if row.split == part} for part in ("train", "test"))
        return [(train, test)] if train or test else None
