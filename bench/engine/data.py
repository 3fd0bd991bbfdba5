"""A data set as the harness holds it: every image decoded once, labelled, low resolution simulated, checked."""

import hashlib
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from bench.engine.cache import Cache, cache_folder
from bench.errors import DataError, listing
from bench.files import release
from bench.plugin.base import Dataset, Photo
from bench.plugin.spec import DatasetSpec
from bench.protocol.images import Packed, pack, unpack
from bench.protocol.lowres import balanced_ratios, simulate
from bench.protocol.splits import Split, make_split, official_splits, read_ratio_file

PART = ("decode", 1)
SMALLEST = 4
"""Pixels: an image with a shorter side is taken for damage, not for a person."""


@dataclass(frozen=True)
class Data:
    """n images, probe-side ones already at low resolution.

    images: uint8 RGB at native sizes.  identity: (n,) int64 indices into `identities`, the people, then `distractors`.
    camera: (n,) str.  probe: (n,) bool, True on the probe side.  sha256: of the original files, labels, sides, ratios
    and official splits.  distractors: labels of those who are in every gallery and nobody's match.
    splits: the official ones, None where splits are drawn.
    """

    spec: DatasetSpec
    images: Packed
    identity: np.ndarray
    identities: tuple[str, ...]
    camera: np.ndarray
    probe: np.ndarray
    sha256: str
    distractors: tuple[str, ...] = ()
    splits: tuple[Split, ...] | None = None

    @property
    def shelf(self) -> np.ndarray:
        """Identity indices of the distractors."""
        return np.arange(len(self.identities), len(self.identities) + len(self.distractors))

    def split(self, index: int, seed: int) -> Split:
        """Who is in training and test of a split: `bench.protocol.splits.make_split`."""
        return make_split(self.identities, index, seed, self.spec.options.split_file, self.splits)

    @property
    def low_resolution(self) -> bool:
        return self.spec.dataset.attributes.get("low_resolution") is not None


def load(spec: DatasetSpec, root: Path | None, seed: int, cache: Cache) -> Data:
    """Read, check and decode a data set below the data root; DataError, naming files or people, when it cannot be."""
    dataset = spec.build()
    photos = list_photos(dataset, root)
    people = natural_order({photo.identity for photo in photos if not photo.distractor})
    distractors = natural_order({photo.identity for photo in photos if photo.distractor})
    if both := [label for label in distractors if label in people]:
        raise DataError(f"{dataset.name}: {listing(both)} cannot be both a person and a distractor")
    order = people | {label: len(people) + index for label, index in distractors.items()}
    photos.sort(key=lambda photo: (order[photo.identity], photo.camera))
    probe = np.array([probe_side(dataset, photo) for photo in photos])
    identity = np.array([order[photo.identity] for photo in photos], np.int64)
    identities = tuple(people)
    check_counts(dataset, photos)
    check_sides(dataset.name, identity, identities, probe)
    splits = own_splits(dataset, root, identities)
    files = known_hash(photos, cache)
    ratios = probe_ratios(spec, photos, probe, seed) if dataset.low_resolution == "simulated" else []
    protocol = f"|{distractors}|{[(s.train.tolist(), s.test.tolist()) for s in splits or ()]}"
    sha256 = hashlib.sha256(
        f"{files}|{probe.tolist()}|{[str(r) for r in ratios]}{protocol if distractors or splits else ''}".encode()
    ).hexdigest()

    flat = cache.rows(f"pixels|{files}|{PART}", lambda: pack(decode_all(photos, dataset.name)))
    images = unpack(flat, len(photos))
    if ratios:
        low = cache.rows(f"pixels|{sha256}|{PART}", lambda: pack(simulate(images, probe, ratios)))
        release(flat)
        images = unpack(low, len(photos))
    camera = np.array([photo.camera for photo in photos])
    return Data(spec, images, identity, identities, camera, probe, sha256, tuple(distractors), splits)


def list_photos(dataset: Dataset, root: Path | None, training: bool = False) -> list[Photo]:
    """What the data set's `read` (or `training`) yields; whatever it stumbles over becomes a DataError."""
    folder = folder_of(dataset, root)
    read = dataset.training if training else dataset.read
    try:
        photos = [replace(photo, identity=str(photo.identity)) for photo in read(folder)]
    except DataError:
        raise
    except Exception as error:  # a reader is a plug-in: whatever it raises is told to the user in one line
        raise DataError(f"{dataset.name}: cannot read {folder}: {one_line(error)}") from error
    if not photos:
        raise DataError(f"{dataset.name}: no image in {folder}; get {dataset.obtain}")
    for photo in photos:
        if isinstance(photo.image, Path):
            check_path(photo.image, folder if dataset.folder else None, dataset.name)
    return photos


def check_path(path: Path, folder: Path | None, name: str) -> None:
    """A photo's file must lie below the data set's folder, where it has one, or be converted from it into the cache."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{name}: the file name {str(path)!a} is not UTF-8; rename the file") from error
    if folder and (".." in path.parts or not any(path.is_relative_to(base) for base in (folder, cache_folder()))):
        raise DataError(f"{name}: {path} lies outside the data set's folder {folder}; all images must lie below it")


def folder_of(dataset: Dataset, root: Path | None) -> Path:
    """The data set's own folder below the data root; DataError where it is not there."""
    if dataset.folder is None:
        return Path()
    if root is None:
        holds = "them" if dataset.folder == "." else dataset.folder
        raise DataError(
            f"{dataset.name} needs its images: name the folder that holds {holds} with --data or"
            f" BENCH_DATA ({dataset.obtain})"
        )
    folder = root / dataset.folder
    if not folder.is_dir():
        raise DataError(f"{dataset.name}: no folder {folder}; get {dataset.obtain}")
    return folder


def own_splits(dataset: Dataset, root: Path | None, identities: Sequence[str]) -> tuple[Split, ...] | None:
    """The data set's official splits; whatever its reader stumbles over becomes a DataError."""
    try:
        given = dataset.splits(folder_of(dataset, root))
    except DataError:
        raise
    except Exception as error:  # a reader is a plug-in: whatever it raises is told to the user in one line
        raise DataError(f"{dataset.name}: cannot read its splits: {one_line(error)}") from error
    return None if given is None else official_splits(given, identities)


def one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def natural_order(labels: Iterable[str]) -> dict[str, int]:
    """Identity labels in order, numbers as numbers, with their index."""
    ordered = sorted(labels, key=lambda text: (0, int(text), text) if text.isdecimal() else (1, 0, text))
    return {label: index for index, label in enumerate(ordered)}


def probe_side(dataset: Dataset, photo: Photo) -> bool:
    if photo.distractor:
        return False
    return photo.probe if photo.probe is not None else photo.camera == dataset.probe_camera


def check_counts(dataset: Dataset, photos: Sequence[Photo]) -> None:
    found = {"images": len(photos), "identities": len({p.identity for p in photos if not p.distractor})}
    for what, expected in dataset.expected.items():
        if found[what] != expected:
            raise DataError(
                f"{dataset.name}: {found[what]:,} {what} found, {expected:,} expected; the copy is incomplete or has"
                f" extra files; get {dataset.obtain}"
            )


def check_sides(name: str, identity: np.ndarray, identities: Sequence[str], probe: np.ndarray) -> None:
    """Every person must be seen on both sides."""
    sides = Counter(zip(identity.tolist(), probe.tolist(), strict=True))
    for side, word in ((True, "probe"), (False, "gallery")):
        missing = [label for index, label in enumerate(identities) if not sides[index, side]]
        if missing:
            raise DataError(
                f"{name}: {len(missing)} of {len(identities)} people have no image on the {word} side:"
                f" {listing(missing)}; every person needs both"
            )


def known_hash(photos: Sequence[Photo], cache: Cache) -> str:
    """`hash_photos`, remembered for files whose paths, sizes and times of change are the same."""
    stamps = hashlib.sha256()
    for photo in photos:
        if not isinstance(photo.image, Path):
            return hash_photos(photos)
        try:
            status = photo.image.stat()
        except OSError as error:
            raise DataError(f"cannot read {photo.image}: {error.strerror or error}") from error
        stamp = photo.identity, str(photo.camera), os.path.abspath(photo.image), status.st_size, status.st_mtime_ns
        stamps.update(repr(stamp).encode())
    key = f"hash|{stamps.hexdigest()}"
    return bytes(cache.array(key, lambda: np.frombuffer(bytes.fromhex(hash_photos(photos)), np.uint8))).hex()


def hash_photos(photos: Iterable[Photo]) -> str:
    """SHA-256 of labels and original bytes, independent of where the files lie."""
    sha = hashlib.sha256()
    for photo in photos:
        sha.update(repr((str(photo.identity), str(photo.camera))).encode())
        if isinstance(photo.image, Path):
            try:
                content = photo.image.read_bytes()
            except OSError as error:
                raise DataError(f"cannot read {photo.image}: {error.strerror or error}") from error
        else:
            content = repr(photo.image.shape).encode() + photo.image.tobytes()
        sha.update(len(content).to_bytes(8, "little") + content)
    return sha.hexdigest()


def decode_all(photos: Sequence[Photo], name: str) -> Iterator[np.ndarray]:
    """Photos as uint8 RGB arrays, one at a time; on a terminal with a progress bar where it takes long."""
    for photo in tqdm(photos, f"decoding {name}", file=sys.stderr, disable=None, delay=1, leave=False, unit="image"):
        yield decode(photo, name)


def decode(photo: Photo, name: str) -> np.ndarray:
    """A photo as a uint8 RGB array (h, w, 3)."""
    if isinstance(photo.image, np.ndarray):
        if photo.image.dtype != np.uint8 or photo.image.ndim != 3 or photo.image.shape[2] != 3:
            raise DataError(
                f"{name}: person {photo.identity}: an image must be uint8 (h, w, 3), not"
                f" {photo.image.dtype} {photo.image.shape}"
            )
        pixels = photo.image
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(photo.image) as image:
                    pixels = as_rgb(image)
        except Exception as error:  # Pillow raises many kinds for damaged files; all mean the same to the user
            reason = "the file is empty" if is_empty(photo.image) else one_line(error)
            raise DataError(f"{name}: {photo.image} is not a readable image: {reason}") from error
    if min(pixels.shape[:2]) < SMALLEST:
        where = photo.image if isinstance(photo.image, Path) else f"an image of person {photo.identity}"
        size = "x".join(map(str, pixels.shape[1::-1]))
        raise DataError(f"{name}: {where} has {size} pixels; an image of a person has at least {SMALLEST} a side")
    return pixels


def as_rgb(image: Image.Image) -> np.ndarray:
    """uint8 RGB (h, w, 3).  Grey, palette, CMYK and YCbCr are converted; ValueError where no conversion is right.

    Pillow reads 16-bit RGB at its upper eight bits but clips other modes of more than eight bits, and ignores
    transparency, behind which a file may keep any colour.
    """
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"more than 8 bits a channel (Pillow mode {image.mode}); save it as 8-bit RGB")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ValueError("it has transparent pixels; save it as RGB, on the background that it belongs on")
    return np.asarray(image.convert("RGB"))


def is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def probe_ratios(spec: DatasetSpec, photos: Sequence[Photo], probe: np.ndarray, seed: int) -> list[Fraction]:
    """The down-sampling ratio of each probe-side image, in image order."""
    chosen = [photo for photo, is_probe in zip(photos, probe, strict=True) if is_probe]
    if spec.options.ratio_file:
        return read_ratio_file(spec.options.ratio_file, [(p.identity, p.camera) for p in chosen])
    return balanced_ratios(len(chosen), seed)
