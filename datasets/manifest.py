from collections.abc import Iterator
from pathlib import Path

from bench.errors import DataError, listing
from bench.plugin.base import Dataset, Photo
from datasets._manifest import Row, read_manifest


class Manifest(Dataset):
    """Your own images at full resolution, listed in a CSV file: manifest[file=people.csv].

    Columns, in any order: ``path`` (relative to the file's folder and below it), ``person``, ``camera``, and optionally
    ``resolution`` (``lr``: probe side, ``hr``: gallery side) and ``split`` (``train`` or ``test``: one given split;
    ``distractor``: in every gallery and nobody's match; empty for all people: seeded random halves).

    file: the manifest.  probe_camera: the camera of the probe side, where there is no ``resolution`` column; the first
    of two by name when it is not given.
    """

    name = "manifest"

    def __init__(self, file: Path | None = None, probe_camera: str | None = None) -> None:
        self.file = file
        self.probe_camera = probe_camera

    def rows(self) -> list[Row]:
        if self.file is None:
            raise DataError(f"{self.name} reads your own images: name their list, {self.name}[file=people.csv]")
        return read_manifest(self.file)

    def read(self, root: Path) -> Iterator[Photo]:
        """Yield the images in the order of their paths; DataError, with file and line, for every fault of the list."""
        rows = self.rows()
        on_probe_side = self.sides(rows)
        for row in rows:
            if row.split == "distractor" and on_probe_side[row.line]:
                raise DataError(
                    f"{self.file}, line {row.line}: a distractor is a gallery image, but this one is on the probe side"
                )
        # Draws count images: in the order of paths, the order of rows does not matter.
        for row in sorted(rows, key=lambda row: row.path):
            distractor = row.split == "distractor"
            yield Photo(row.path, row.person, row.camera, probe=on_probe_side[row.line], distractor=distractor)

    def sides(self, rows: list[Row]) -> dict[int, bool]:
        """Line -> whether its image is on the probe side; everyone but distractors is checked to have both."""
        if rows[0].resolution:
            if self.probe_camera is not None:
                raise DataError(f"{self.file} has a resolution column, which says the sides: leave probe_camera out")
            sides = {row.line: row.resolution == "lr" for row in rows}
        else:
            cameras = sorted({row.camera for row in rows})
            camera = self.probe_camera
            if camera is None and len(cameras) == 2:
                camera = cameras[0]
            if camera not in cameras:
                fault = (
                    f"has no camera {camera!r}" if camera else f"has {len(cameras)} cameras and no resolution column"
                )
                raise DataError(f"{self.file} {fault}: give probe_camera, one of {listing(cameras, 12)}")
            sides = {row.line: row.camera == camera for row in rows}
        people: dict[str, set[bool]] = {}
        for row in rows:
            people.setdefault(row.person, set()).add(sides[row.line])
        for row in rows:
            if row.split != "distractor" and len(people[row.person]) == 1:
                side = "gallery" if sides[row.line] else "probe"
                raise DataError(f"{self.file}, line {row.line}: person {row.person} has no image on the {side} side")
        return sides

    def splits(self, root: Path) -> list[tuple[set[str], set[str]]] | None:
        """The one split of the ``split`` column, None where it is empty or missing."""
        rows = self.rows()
        train, test = ({row.person for row in rows if row.split == part} for part in ("train", "test"))
        return [(train, test)] if train or test else None
