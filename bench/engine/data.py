"""A data set as the harness holds it: every image decoded once, labelled, low resolution simulated, checked."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from bench.engine.cache import Cache, cache_folder
from bench.engine.decode import decode_all, decoder, one_line
from bench.engine.folders import contents, folder_of
from bench.engine.stamp import content_stamp
from bench.errors import DataError, counted, listing
from bench.files import release
from bench.plugin.base import Dataset, Photo
from bench.plugin.spec import DatasetSpec
from bench.protocol import lowres, resize
from bench.protocol.images import Packed, pack, unpack
from bench.protocol.lowres import balanced_ratios, simulate
from bench.protocol.splits import Split, make_split, official_splits, read_ratio_file


@dataclass(frozen=True)
class Data:
    """n images, probe-side ones already at low resolution.

    images: uint8 RGB at native sizes.  identity: (n,) int64 indices into `identities`, the people, then `distractors`.
    camera: (n,) str.  probe: (n,) bool, True on the probe side.  digest: of all that a number can depend on, from
    `digest_of`.  distractors: labels of those who are in every gallery and nobody's match.
    splits: the official ones, None where splits are drawn.  warnings: what looks wrong without being an error, a line
    each, for tables and `doctor`.
    """

    spec: DatasetSpec
    images: Packed
    identity: np.ndarray
    identities: tuple[str, ...]
    camera: np.ndarray
    probe: np.ndarray
    digest: str
    distractors: tuple[str, ...] = ()
    splits: tuple[Split, ...] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def distractor_people(self) -> np.ndarray:
        """Identity indices of the distractors."""
        return np.arange(len(self.identities), len(self.identities) + len(self.distractors))

    def split(self, index: int, seed: int) -> Split:
        """Who is in training and test of a split: `bench.protocol.splits.make_split`."""
        return make_split(self.identities, index, seed, self.spec.options.split_file, self.splits)

    @property
    def low_resolution(self) -> bool:
        return self.spec.dataset.attributes.get("low_resolution") is not None


def load(spec: DatasetSpec, root: Path | None, seed: int, cache: Cache, photos: Sequence[Photo] | None = None) -> Data:
    """Read, check and decode a data set below the data root; DataError, naming files or people, when it cannot be.

    photos: what `list_photos` found, where that has been asked already.
    """
    dataset = spec.build()
    photos = arranged(list_photos(dataset, root) if photos is None else photos)
    people = natural_order({photo.identity for photo in photos if not photo.distractor})
    distractors = natural_order({photo.identity for photo in photos if photo.distractor})
    if both := [label for label in distractors if label in people]:
        raise DataError(f"{dataset.name}: {listing(both)} cannot be both a person and a distractor")
    order = people | {label: len(people) + index for label, index in distractors.items()}
    probe = np.array([probe_side(dataset, photo) for photo in photos])
    identity = np.array([order[photo.identity] for photo in photos], np.int64)
    identities = tuple(people)
    check_counts(dataset, photos)
    check_sides(dataset.name, identity, identities, probe)
    splits = own_splits(dataset, root, identities)
    ratios = probe_ratios(spec, photos, probe, seed) if dataset.low_resolution == "simulated" else []

    key, images = originals(photos, dataset.name, cache)
    if ratios:
        chosen = hashlib.sha256(f"{probe.tolist()}|{[str(ratio) for ratio in ratios]}".encode()).hexdigest()
        key = f"{key}|{lowres.PART}|{resize.PART}|{chosen}"
        low = cache.rows(f"pixels|{key}", lambda: pack(simulate(images, probe, ratios)))
        release(images.flat)
        images = unpack(low, len(photos))
    camera = np.array([photo.camera for photo in photos])
    digest = digest_of(photos, probe, distractors, ratios, splits, pixel_digest(key, images, cache))
    warnings = suspicions(images.areas, identity, camera, probe, dataset.low_resolution is not None)
    return Data(spec, images, identity, identities, camera, probe, digest, tuple(distractors), splits, warnings)


def arranged(photos: Iterable[Photo]) -> list[Photo]:
    """Photos in the order of people, then distractors, and of cameras; otherwise as a reader yields them."""
    photos = list(photos)
    order = natural_order({photo.identity for photo in photos})
    distractors = {photo.identity for photo in photos if photo.distractor}
    return sorted(photos, key=lambda photo: (photo.identity in distractors, order[photo.identity], photo.camera))


def originals(photos: Sequence[Photo], name: str, cache: Cache) -> tuple[str, Packed]:
    """The photos' decoded pixels, kept in the cache, and what names them there: file contents and the decoder.

    A data set and its multi-resolution variant share them.
    """
    key = f"{content_stamp([photo.image for photo in photos], cache)}|{decoder()}"
    return key, unpack(cache.rows(f"pixels|{key}", lambda: pack(decode_all(photos, name))), len(photos))


def pixel_digest(key: str, images: Packed, cache: Cache) -> str:
    """SHA-256 of pixels and sizes, remembered in the cache under what names the pixels there."""

    def compute() -> np.ndarray:
        digest = hashlib.sha256(images.shapes.astype("<i8").tobytes())
        digest.update(np.ascontiguousarray(images.flat).data)
        release(images.flat)
        return np.frombuffer(digest.digest(), np.uint8)

    return bytes(cache.array(f"digest|{key}", compute)).hex()


def digest_of(
    photos: Sequence[Photo],
    probe: np.ndarray,
    distractors: Iterable[str],
    ratios: Sequence[Fraction],
    splits: Sequence[Split] | None,
    pixels: str,
) -> str:
    """Digest of what a number can depend on: labels, sides, ratios, official splits, pixels and the resize step.

    The bytes and names of files do not count, nor does the version of a library that decodes and resizes as before.
    """
    seen = {
        "people": [photo.identity for photo in photos],
        "cameras": [str(photo.camera) for photo in photos],
        "probe": probe.tolist(),
        "distractors": list(distractors),
        "ratios": [str(ratio) for ratio in ratios],
        "splits": None if splits is None else [(split.train.tolist(), split.test.tolist()) for split in splits],
        "pixels": pixels,
        "resize": resize.canary(),
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def suspicions(
    areas: np.ndarray, identity: np.ndarray, camera: np.ndarray, probe: np.ndarray, low_resolution: bool
) -> tuple[str, ...]:
    """What is allowed but seldom meant: sides of one camera, and a low-resolution side that is the larger one."""
    found = []
    if low_resolution and areas[probe].mean() > areas[~probe].mean():
        found.append(
            f"the low-resolution side is the larger one: {areas[probe].mean():,.0f} pixels an image on average,"
            f" {areas[~probe].mean():,.0f} on the high-resolution side; are the sides swapped?"
        )
    seen = [set(zip(identity[side].tolist(), camera[side].tolist(), strict=True)) for side in (probe, ~probe)]
    if both := seen[0] & seen[1]:
        people = len({person for person, _ in both})
        cameras = listing(sorted({label for _, label in both}))
        found.append(
            f"both sides hold images of one camera ({cameras}) for {people:,} of"
            f" {counted(len(np.unique(identity[probe])), 'person')}"
        )
    return tuple(found)


def photos_of(dataset: Dataset, root: Path | None, training: bool = False) -> Iterator[Photo]:
    """What the data set's `read` (or `training`) yields, one by one, until it fails: that becomes a DataError."""
    folder = folder_of(dataset, root)
    read = dataset.training if training else dataset.read
    empty = True
    try:
        for photo in read(folder):
            empty = False
            if isinstance(photo.image, Path):
                check_path(photo.image, folder if dataset.folder else None, dataset.name)
            yield photo if type(photo.identity) is str else replace(photo, identity=str(photo.identity))
    except DataError as error:
        raise named(dataset, error) from error
    except Exception as error:  # a reader is a plug-in: whatever it raises is one line for the user
        raise DataError(f"{dataset.name}: cannot read {folder}: {one_line(error)}") from error
    if empty:
        raise DataError(f"{dataset.name}: no image in {folder}; get {dataset.obtain}; {contents(folder)}")


def named(dataset: Dataset, error: DataError) -> DataError:
    """The error of a reader, with the data set's name."""
    text = str(error)
    return error if text.startswith(dataset.name) else DataError(f"{dataset.name}: {text}")


def list_photos(dataset: Dataset, root: Path | None, training: bool = False) -> list[Photo]:
    """All of `photos_of`."""
    return list(photos_of(dataset, root, training))


def check_path(path: Path, folder: Path | None, name: str) -> None:
    """A photo's file must lie below the data set's folder, where it has one, or be converted from it into the cache."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{name}: the file name {str(path)!a} is not UTF-8; rename the file") from error
    if folder and (".." in path.parts or not any(path.is_relative_to(base) for base in (folder, cache_folder()))):
        raise DataError(f"{name}: {path} lies outside the data set's folder {folder}; all images must lie below it")


def own_splits(dataset: Dataset, root: Path | None, identities: Sequence[str]) -> tuple[Split, ...] | None:
    """The data set's official splits; whatever its reader raises becomes a DataError."""
    folder = folder_of(dataset, root)
    try:
        given = dataset.splits(folder)
    except DataError as error:
        raise named(dataset, error) from error
    except Exception as error:  # a reader is a plug-in: whatever it raises is one line for the user
        raise DataError(f"{dataset.name}: cannot read its splits: {one_line(error)}") from error
    return None if given is None else official_splits(given, identities)


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
                f"{name}: {len(missing)} of {counted(len(identities), 'person')} have no image on the {word} side:"
                f" {listing(missing)}; every person needs both"
            )


def probe_ratios(spec: DatasetSpec, photos: Sequence[Photo], probe: np.ndarray, seed: int) -> list[Fraction]:
    """The down-sampling ratio of each probe-side image, in image order."""
    chosen = [photo for photo, is_probe in zip(photos, probe, strict=True) if is_probe]
    if spec.options.ratio_file:
        labels = [(photo.identity, photo.camera) for photo in chosen]
        files = [photo.image if isinstance(photo.image, Path) else None for photo in chosen]
        return read_ratio_file(spec.options.ratio_file, labels, files)
    return balanced_ratios(len(chosen), seed)
