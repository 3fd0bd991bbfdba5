"""The official file of CUHK03, ``cuhk-03.mat``, converted once into image files.

A MATLAB v7.3 file is HDF5 with every array transposed.  `labeled` and `detected` refer to one grid for each of five
camera pairs, (10, people) references, to (3, width, height) uint8 images or to an empty array where there is none;
images 0-4 of a person are the first view's, 5-9 the second's.  `testsets` refers to 20 arrays (2, 100): camera pair and
person, both from 1.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from bench.engine.cache import Cache, cache_folder
from bench.engine.stamp import content_stamp
from bench.errors import DataError
from bench.files import write_atomically

KINDS = ("labeled", "detected")
PEOPLE = {1: 843, 2: 440, 3: 77, 4: 58, 5: 49}
"""Of the release, in each camera pair; together 1,467."""
TEST_SETS = 20
SLOTS = 10


def converted(mat: Path) -> tuple[Path, list[list[tuple[int, int]]]]:
    """The folder of the file's images as ``KIND/PAIR_PERSON_VIEW_IMAGE.ppm``, and its test sets of (pair, person).

    Lies in the cache under the file's content; made where it is not there.  A conversion that was killed goes on where
    it was.  PPM is lossless.
    DataError, in one line, for a file that is not as described above.
    """
    folder = cache_folder() / "cuhk03" / content_stamp([mat], Cache(cache_folder()))[:16]
    index = folder / "testsets.json"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if not index.exists():
                test_sets = convert(mat, folder)
                with write_atomically(index) as file:
                    file.write(json.dumps(test_sets).encode())
    return folder, [[(pair, person) for pair, person in chosen] for chosen in json.loads(index.read_bytes())]


def convert(mat: Path, folder: Path) -> list[list[tuple[int, int]]]:
    """Write every image that is not there yet; returns the test sets."""
    check_version(mat)
    with reading(mat, "the file"), h5py.File(mat) as file:
        test_sets = read_test_sets(mat, file)
        grids = {(kind, pair): read_grid(mat, file, kind, pair) for kind in KINDS for pair in PEOPLE}
        for pair in PEOPLE:
            labelled, detected = (len(grids[kind, pair].T) for kind in KINDS)
            if labelled != detected or labelled not in (0, PEOPLE[pair]):
                raise DataError(
                    f"{mat}: camera pair {pair} has {labelled} labelled and {detected} detected people;"
                    f" {PEOPLE[pair]} of both expected"
                )
        total = sum(grid.size for grid in grids.values())
        with tqdm(total=total, desc=f"converting {mat.name}", unit="image", file=sys.stderr, disable=None) as bar:
            for (kind, pair), grid in grids.items():
                (folder / kind).mkdir(exist_ok=True)
                for person, references in enumerate(grid.T, 1):
                    for slot, reference in enumerate(references):
                        where = f"{kind}, camera pair {pair}, person {person}, image {slot + 1}"
                        with reading(mat, where):
                            name = f"{pair}_{person:03d}_{1 + slot // 5}_{1 + slot % 5:02d}.ppm"
                            write_image(target(mat, file, reference, where), folder / kind / name, mat, where)
                    bar.update(SLOTS)
    return test_sets


def check_version(mat: Path) -> None:
    with reading(mat, "the file"), mat.open("rb") as file:
        head = file.read(128)
    if head.startswith(b"MATLAB 5.0"):
        raise DataError(
            f"{mat} is a MATLAB v5 or v7 file; the release's is v7.3 (HDF5): take that, or save it as -v7.3"
        )
    if not h5py.is_hdf5(mat):
        raise DataError(f"{mat} is not a MATLAB v7.3 (HDF5) file; unpack the release's cuhk-03.mat again")


@contextmanager
def reading(mat: Path, where: str) -> Iterator[None]:
    """Whatever h5py raises becomes a DataError that says where."""
    try:
        yield
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"{mat}: cannot read {where}: {text}; the copy is damaged, unpack it again") from error


def variable(mat: Path, file: h5py.File, name: str) -> np.ndarray:
    """The references of a row of cells."""
    if name not in file:
        raise DataError(f"{mat} has no variable {name!r}; it must be the release's cuhk-03.mat")
    cells = file[name]
    if not isinstance(cells, h5py.Dataset) or cells.dtype != h5py.ref_dtype:
        raise DataError(f"{mat}: {name!r} is not a cell array; it must be the release's cuhk-03.mat")
    return cells[()].reshape(-1)


def target(mat: Path, file: h5py.File, reference: h5py.Reference, where: str) -> h5py.Dataset:
    if not reference:
        raise DataError(f"{mat}: {where}: its reference is missing; the copy is damaged, unpack it again")
    return file[reference]


def is_empty(cell: h5py.Dataset) -> bool:
    """MATLAB has no array without elements in HDF5: it writes the size of an empty one as its content."""
    return "MATLAB_empty" in cell.attrs or cell.ndim < 3 or cell.size == 0


def read_grid(mat: Path, file: h5py.File, kind: str, pair: int) -> np.ndarray:
    """(10, people) references."""
    where = f"{kind}, camera pair {pair}"
    cells = variable(mat, file, kind)
    if len(cells) != len(PEOPLE):
        raise DataError(f"{mat}: {kind!r} has {len(cells)} camera pairs; {len(PEOPLE)} expected")
    grid = target(mat, file, cells[pair - 1], where)
    if "MATLAB_empty" in grid.attrs or grid.size == 0:
        return np.empty((SLOTS, 0), object)
    if grid.dtype != h5py.ref_dtype or grid.ndim != 2 or grid.shape[0] != SLOTS:
        raise DataError(
            f"{mat}: {where} is {grid.dtype} {grid.shape}; a cell array of {SLOTS} images a person expected"
        )
    return grid[()]


def write_image(cell: h5py.Dataset, path: Path, mat: Path, where: str) -> None:
    """One image as a file, unless it is whole already."""
    if is_empty(cell):
        return
    if cell.dtype != np.uint8 or cell.ndim != 3 or cell.shape[0] != 3:
        raise DataError(f"{mat}: {where} is {cell.dtype} {cell.shape}; uint8 (3, width, height) expected")
    _, width, height = cell.shape
    if path.exists() and path.stat().st_size == len(f"P6\n{width} {height}\n255\n") + cell.size:
        return
    partial = path.with_suffix(".partial")
    Image.fromarray(np.ascontiguousarray(cell[()].transpose(2, 1, 0))).save(partial, "PPM")
    partial.replace(path)


def read_test_sets(mat: Path, file: h5py.File) -> list[list[tuple[int, int]]]:
    cells = variable(mat, file, "testsets")
    if len(cells) != TEST_SETS:
        raise DataError(f"{mat}: {len(cells)} test sets; {TEST_SETS} expected")
    test_sets = []
    for number, reference in enumerate(cells, 1):
        cell = target(mat, file, reference, f"test set {number}")
        if cell.ndim != 2 or cell.shape[0] != 2 or not cell.size or "MATLAB_empty" in cell.attrs:
            raise DataError(f"{mat}: test set {number} is {cell.shape}; camera pair and person of each expected")
        people = [(int(pair), int(person)) for pair, person in cell[()].T]
        for pair, person in people:
            if not 1 <= person <= PEOPLE.get(pair, 0):
                raise DataError(f"{mat}: test set {number} names person {person} of camera pair {pair}, who is nobody")
        test_sets.append(people)
    return test_sets
