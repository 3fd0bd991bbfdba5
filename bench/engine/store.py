"""Results on disk: one JSON file a cell, written atomically, enough to print every table from a clone.

``DATASET/METHOD/splitI-seedS-PROFILE-KEY.json`` holds a finished cell, the same name with ``.failed.json`` what went
wrong in a failed one.  Per-anchor distance matrices lie in ``distances/KEY.npz`` beside them and are not kept in git.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from bench.engine.cell import Cell
from bench.errors import BenchError
from bench.files import write_atomically

FORMAT = 1


@dataclass(frozen=True)
class Result:
    """A stored cell.  record: everything in the file beside the cell's identity."""

    cell: Cell
    record: dict[str, Any]
    path: Path

    @property
    def failed(self) -> bool:
        return "error" in self.record


class Store:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, cell: Cell) -> Path:
        name = f"split{cell.split}-seed{cell.seed}-{cell.profile}-{cell.key}.json"
        return self.folder / file_name(cell.dataset) / file_name(cell.method) / name

    def failed_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(".failed.json")

    def distances_path(self, cell: Cell) -> Path:
        return self.folder / "distances" / f"{cell.key}.npz"

    def workspace(self, cell: Cell, code: str) -> Path:
        """Folder for checkpoints of a cell while it is computed.  code: hash of its code, so that none is mixed."""
        return self.folder / "distances" / "checkpoints" / f"{cell.key}-{code}"

    def lock(self, cell: Cell) -> FileLock:
        """Held while a cell is computed, so that two runs on one store never compute the same cell."""
        folder = self.folder / "distances" / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return FileLock(folder / f"{cell.key}.lock")

    def device_lock(self, device: str) -> FileLock:
        """Held while a cell is computed on a device, so that runs on one store spread over several."""
        return FileLock(self.folder / "distances" / "locks" / f"{device.replace(':', '')}.lock")

    def get(self, cell: Cell) -> Result | None:
        """The finished cell, None when it is not there.  BenchError when its file cannot be read."""
        path = self.path(cell)
        return read_result(path) if path.exists() else None

    def put(self, cell: Cell, record: dict[str, Any], distances: dict[str, np.ndarray]) -> None:
        """Write a finished cell: distances first, so that a cell that is there has them; any failure record goes."""
        try:
            with write_atomically(self.distances_path(cell)) as file:
                arrays: dict[str, Any] = {name: d.astype(np.float64) for name, d in distances.items()}
                np.savez(file, **arrays)
            self.write(self.path(cell), cell, record)
            self.failed_path(cell).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def update(self, cell: Cell, record: dict[str, Any]) -> None:
        """Write a finished cell's file anew; its distances stay as they are."""
        try:
            self.write(self.path(cell), cell, record)
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def put_failure(self, cell: Cell, record: dict[str, Any]) -> None:
        try:
            self.write(self.failed_path(cell), cell, record)
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def write(self, path: Path, cell: Cell, record: dict[str, Any]) -> None:
        content = {"format": FORMAT, "cell": asdict(cell), **record}
        lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items()]
        with write_atomically(path) as file:
            file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())

    def distances(self, cell: Cell) -> dict[str, np.ndarray] | None:
        """Anchor (or ``all``) -> (probes, gallery) float64; None where the matrices are not kept."""
        try:
            with np.load(self.distances_path(cell), allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            return None
        except Exception as error:  # numpy and zipfile raise many kinds for a damaged archive
            path = self.distances_path(cell)
            raise BenchError(
                f"{path} is not readable ({type(error).__name__}); run the cell again with --force"
            ) from error

    def read_all(self, failures: bool = False) -> tuple[list[Result], list[str]]:
        """Every finished cell (and failed one, if asked for) in name order, and a line for each unreadable file."""
        results, problems = [], []
        for path in self.files():
            if path.name.endswith(".failed.json") and not failures:
                continue
            try:
                results.append(read_result(path))
            except BenchError as error:
                problems.append(str(error))
        return results, problems

    def files(self) -> Iterator[Path]:
        return iter(sorted(self.folder.glob("*/*/split*.json")))


def cannot_write(folder: Path, error: OSError) -> BenchError:
    return BenchError(
        f"cannot write to {folder}: {error.strerror or error}; finished cells are kept, free space and run again"
    )


def file_name(spec: str) -> str:
    """A spec as a folder name: slashes, which anchors and paths have, become dashes."""
    return spec.replace("/", "-").replace(os.sep, "-")


def read_result(path: Path) -> Result:
    """Read one result file; BenchError, naming it, when it is damaged or of another format."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads format {FORMAT}")
        cell = Cell(**content["cell"])
        record = {k: v for k, v in content.items() if k not in ("format", "cell")}
        if "error" not in record and not isinstance(record["cmc"][0], float):
            raise ValueError("no CMC")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BenchError(f"{path} is not a readable result ({reason}); delete it and run again") from error
    return Result(cell, record, path)
