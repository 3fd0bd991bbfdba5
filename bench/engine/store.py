"""Results on disk: one JSON file a cell, written atomically, enough to print every table from a clone.

``DATASET/METHOD/splitI-seedS-PROFILE-FINGERPRINT.json`` holds a finished cell, the same name with ``.failed.json`` what
went wrong in a failed one, and with ``.safetensors`` what figures need of its networks, where it is kept.  Per-anchor
distance matrices lie in ``distances/FINGERPRINT.npz`` and are not kept in git.  Files may come from strangers: whatever
is wrong with one is a line that names it, and costs no other.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bench.engine.enhancers import SUFFIX, Arrays, Enhancers, packed, unpacked
from bench.engine.identity import Cell, source_of
from bench.engine.record import FORMAT, Failure, File, Record, decoded
from bench.errors import BenchError, StorageError, Unreadable
from bench.files import names, read_regular, safe_name, write_atomically
from bench.plugin.grammar import split_text
from bench.plugin.registry import ROOT

if TYPE_CHECKING:
    from filelock import FileLock

MEASURED = ROOT / "results" / "measured"
"""The results that come with bench."""
LARGEST_FILE = 16 * 2**20  # bytes; the largest cell of the paper's tables has 0.1 MiB


@dataclass(frozen=True)
class Result:
    """A stored cell: finished, with its `record`, or failed, with its `failure`.  origin: the store's folder name."""

    cell: Cell
    record: Record | None
    failure: Failure | None
    path: Path
    origin: str = ""

    @property
    def failed(self) -> bool:
        return self.record is None

    @property
    def finished(self) -> Record:
        """The record of a finished cell; BenchError for a failed one."""
        if self.record is None:
            raise BenchError(f"{self.path} is of a failed cell")
        return self.record


class Store:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, cell: Cell) -> Path:
        return self.folder_of(cell) / f"{prefix(cell)}{cell.fingerprint}.json"

    def folder_of(self, cell: Cell) -> Path:
        return self.folder / safe_name(cell.dataset) / safe_name(cell.method)

    def failed_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(".failed.json")

    def distances_path(self, cell: Cell) -> Path:
        return self.folder / "distances" / f"{cell.fingerprint}.npz"

    def enhancers_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(SUFFIX)

    def workspace(self, cell: Cell) -> Path:
        """Folder for checkpoints of a cell while it is computed; an edited method goes on from none that it left."""
        return self.folder / "distances" / "checkpoints" / f"{cell.fingerprint}-{source_of(cell.method)}"

    def remove_workspaces(self, cell: Cell) -> None:
        """Remove a cell's checkpoints, those of its method before it was edited too."""
        for folder in (self.folder / "distances" / "checkpoints").glob(f"{cell.fingerprint}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def lock(self, cell: Cell) -> "FileLock":
        """Held while a cell is computed, so that two runs on one store never compute the same cell."""
        return self._lock(cell.fingerprint)

    def device_lock(self, device: str) -> "FileLock":
        """Held while a cell is computed on a device, so that runs on one store spread over several."""
        return self._lock(device.replace(":", ""))

    def images_lock(self, data: str) -> "FileLock":
        """Held while the table of images of some data is written."""
        return self._lock(f"images-{data}")

    def _lock(self, name: str) -> "FileLock":
        from filelock import FileLock  # whoever only reads takes none

        folder = self.folder / "distances" / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return FileLock(folder / f"{name}.lock")

    def get(self, cell: Cell) -> Result | None:
        """The finished cell, None when it is not there.  BenchError when its file cannot be read."""
        return read_result(path) if os.path.lexists(path := self.path(cell)) else None

    def at_place(self, cell: Cell) -> list[str]:
        """The files of finished cells at a cell's place (method, data set, split, seed, profile), its own one too."""
        return [n for n in names(self.folder_of(cell)) if n.startswith(prefix(cell)) and holds_finished(n)]

    def others(self, cell: Cell, at_place: Sequence[str] | None = None) -> list[Result]:
        """Finished cells at the same place with another fingerprint.  at_place: where that is known already."""
        own, found = self.path(cell), []
        for name in self.at_place(cell) if at_place is None else at_place:
            if name != own.name:
                with suppress(BenchError):  # told by whoever reads the whole store
                    found.append(read_result(own.with_name(name)))
        return found

    def put(
        self,
        cell: Cell,
        record: Record,
        distances: Arrays,
        enhancers: Enhancers | None = None,
        at_place: Sequence[str] | None = None,
    ) -> None:
        """Write a finished cell: distances first, so that a cell that is there has them; any failure record goes.

        distances: by anchor, empty where they did not fit in memory.
        enhancers: arrays of each anchor; BenchError, and nothing written, where they are too large.
        Cells of the same data and weights that other versions of the code had at this place go too.
        at_place: the files there, where these are known already.
        """
        kept = packed(enhancers) if enhancers else b""
        try:
            if distances:
                with write_atomically(self.distances_path(cell), shared=True) as file:
                    arrays: dict[str, Any] = {name: d.astype(np.float64) for name, d in distances.items()}
                    np.savez(file, **arrays)
            else:
                self.distances_path(cell).unlink(missing_ok=True)
            if kept:
                with write_atomically(self.enhancers_path(cell), shared=True) as file:
                    file.write(kept)
            self._write(self.path(cell), cell, {"record": record})
            if not kept:
                self.enhancers_path(cell).unlink(missing_ok=True)
            self.failed_path(cell).unlink(missing_ok=True)
            for other in self.others(cell, at_place):
                if (other.cell.data, other.cell.weights) == (cell.data, cell.weights):
                    self.remove(other)
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def update(self, cell: Cell, record: Record) -> None:
        """Write a finished cell's file again; its distances stay as they are."""
        try:
            self._write(self.path(cell), cell, {"record": record})
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def put_failure(self, cell: Cell, failure: Failure) -> None:
        try:
            self._write(self.failed_path(cell), cell, {"failure": failure})
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def hand_over(self, old: Cell, new: Cell) -> None:
        """Let what lies beside a cell lie beside the one that takes its place."""
        for place in (self.distances_path, self.enhancers_path):
            if place(old).exists():
                os.replace(place(old), place(new))

    def remove(self, result: Result) -> None:
        """Delete a stored cell with what lies beside it."""
        for path in (result.path, self.distances_path(result.cell), self.enhancers_path(result.cell)):
            path.unlink(missing_ok=True)

    def _write(self, path: Path, cell: Cell, outcome: Mapping[str, Record | Failure]) -> None:
        head = {"format": FORMAT, "fingerprint": cell.fingerprint, "cell": asdict(cell)}
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
        for key, value in outcome.items():
            fields = msgspec.to_builtins(value)
            inner = [f" {json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in fields.items()]
            lines.append(f"{json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n}")
        content = ("{\n" + ",\n".join(lines) + "\n}\n").encode()
        # What would be refused when it is read is refused now, before anything is stored.
        msgspec.json.decode(content, type=File)
        with write_atomically(path, shared=True) as file:
            file.write(content)

    def distances(self, cell: Cell) -> dict[str, np.ndarray] | None:
        """Anchor (or ``all``) -> (probes, gallery) float64; None where the matrices are not kept."""
        try:
            with np.load(self.distances_path(cell), allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            return None
        except Exception as error:  # numpy and zipfile raise many kinds for a damaged archive
            raise BenchError(
                f"{self.distances_path(cell)} is not readable ({type(error).__name__}); run the cell again with --force"
            ) from error

    def enhancers(self, cell: Cell) -> dict[str, dict[str, np.ndarray]]:
        """Anchor (or ``all``) -> the arrays that its model enhances images with; empty where none are kept."""
        return unpacked(path) if os.path.lexists(path := self.enhancers_path(cell)) else {}

    def read_all(self, failures: bool = False) -> tuple[list[Result], list[str]]:
        """Every finished cell (and failed one, if asked for) in name order, and a line for each unreadable file."""
        return read_stores([self.folder], failures)

    def files(self) -> Iterator[Path]:
        return iter(sorted(self.folder.glob("*/*/split*.json"), key=lambda path: path.parts))


def read_stores(folders: Iterable[Path], failures: bool = False) -> tuple[list[Result], list[str]]:
    """The cells of several stores together, and a line for each unreadable file."""
    problems: list[str] = []
    return list(each_result(folders, problems, failures)), problems


def each_result(folders: Iterable[Path], problems: list[str], failures: bool = False) -> Iterator[Result]:
    """Likewise one by one, in name order within a store; of a cell that several have, the first one's counts.

    problems: takes the lines.
    """
    found: set[str] = set()
    for folder in folders:
        origin = folder.resolve().name
        wanted = (path for path in Store(folder).files() if failures or not path.name.endswith(".failed.json"))
        for path in wanted:
            try:
                result = read_result(path, origin)
            except BenchError as error:
                problems.append(str(error))
                continue
            # A name holds the fingerprint, and whether the cell failed.
            if path.name not in found:
                found.add(path.name)
                yield result


def own_folder() -> Path:
    """The user's own results: ``BENCH_RESULTS``, else ``results/local`` in the clone or the current folder."""
    if chosen := os.environ.get("BENCH_RESULTS"):
        return Path(chosen)
    tree = ROOT if (ROOT / "bench").is_dir() else Path.cwd()
    return tree / "results" / "local"


def holds_finished(name: str) -> bool:
    return name.endswith(".json") and not name.endswith(".failed.json")


def prefix(cell: Cell) -> str:
    return f"split{cell.split}-seed{cell.seed}-{cell.profile}-"


def cannot_write(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write to {folder}: {error.strerror or error}; finished cells are kept, free space and run again"
    )


def read_result(path: Path, origin: str = "") -> Result:
    """Read one result file; BenchError, naming it, when it is damaged, of another format, or not what its name says."""
    try:
        file = decoded(path, read_regular(path, LARGEST_FILE, "a result has"))
        cell = file.cell.cell()
        for spec in (cell.method, cell.dataset):
            split_text(spec)
        if cell.fingerprint != file.fingerprint:
            raise ValueError("its fingerprint is not that of its cell")
        if (file.record is None) == (file.failure is None):
            raise ValueError("it must have either a record or a failure")
        suffix = ".json" if file.record else ".failed.json"
        expected = [safe_name(cell.dataset), safe_name(cell.method), f"{prefix(cell)}{file.fingerprint}{suffix}"]
        if list(path.parts[-3:]) != expected:
            raise ValueError(f"it holds {cell}, which belongs into {'/'.join(expected)}")
    except BenchError as error:
        if str(path) in str(error):
            raise
        raise unreadable(path, str(error)) from error
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    return Result(cell, file.record, file.failure, path, origin)


def unreadable(path: Path, reason: str) -> Unreadable:
    again = "remove it or run the cell again with --force"
    return Unreadable(f"{path} is not a readable result: {' '.join(reason.split())}; {again}")
