"""Loading and low-resolution simulation, on tiny data sets written by the tests."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.engine.cache import Cache
from bench.engine.data import Data, load, natural_order, suspicions
from bench.errors import DataError
from bench.plugin.base import Dataset, Photo
from bench.plugin.grammar import DatasetOptions
from bench.plugin.registry import Plugin
from bench.plugin.spec import DatasetSpec
from bench.protocol.fusion import ANCHORS
from bench.protocol.images import pack, unpack
from bench.protocol.lowres import balanced_ratios
from bench.protocol.resize import FILTERS
from bench.protocol.splits import read_ratio_file


class Toy(Dataset):
    """PNG files ``person-camera-index.png``; camera p is the probe side, shrunk."""

    name = "toy"
    folder = "toy"
    low_resolution = "simulated"
    probe_camera = "p"

    def read(self, root: Path) -> Iterable[Photo]:
        for path in sorted(root.glob("*.png"), reverse=True):
            person, camera, _ = path.stem.split("-")
            yield Photo(path, person, camera)


class Mirrored(Toy):
    """The same files with the other camera on the probe side."""

    name = "mirrored"
    probe_camera = "g"


class FullResolution(Toy):
    """The same files as they are."""

    name = "full"
    low_resolution = None


class Saying(Dataset):
    """Arrays, each photo saying itself which side it is on."""

    name = "saying"
    low_resolution = "genuine"

    def read(self, root: Path) -> Iterable[Photo]:
        for person in "ab":
            yield Photo(noise(person, (20, 10)), person, "?", probe=False)
            yield Photo(noise(person, (6, 4)), person, "?", probe=True)


SIZES = {"1": (30, 11), "2": (17, 9), "10": (4, 4), "x": (33, 20), "y": (12, 12)}


def noise(name: str, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng([*name.encode()]).integers(0, 256, (*size, 3)).astype(np.uint8)


def write(root: Path) -> Path:
    """Two probe images and one gallery image of each person."""
    folder = root / "toy"
    folder.mkdir(parents=True)
    for person, size in SIZES.items():
        for name in (f"{person}-p-0", f"{person}-p-1", f"{person}-g-0"):
            Image.fromarray(noise(name, size)).save(folder / f"{name}.png")
    return root


def read(kind: type[Dataset], root: Path, seed: int = 0, cache: Path | None = None, **options) -> Data:
    attributes = {"low_resolution": kind.low_resolution}
    plugin = Plugin(kind.name, "dataset", __name__, kind.__name__, "", "", attributes)
    spec = DatasetSpec(kind.name, plugin, {}, DatasetOptions(**options))
    return load(spec, root, seed, Cache(cache or root / "cache"))


def test_what_a_data_set_becomes(tmp_path) -> None:
    data = read(Toy, write(tmp_path))
    assert data.identities == ("1", "2", "10", "x", "y"), "numbers as numbers, then words"
    assert data.identity.tolist() == [i for i in range(5) for _ in range(3)]
    assert data.camera.tolist() == ["g", "p", "p"] * 5
    assert data.probe.tolist() == [False, True, True] * 5
    assert data.low_resolution


def test_probes_are_shrunk_and_galleries_are_not(tmp_path) -> None:
    root = write(tmp_path)
    (tmp_path / "ratios.csv").write_text(
        "identity,camera,ratio\n1,p,1/2\n2,p,1/3\n10,p,1/4\nx,p,1/4\ny,p,1/3\n", encoding="utf-8"
    )
    data = read(Toy, root, ratio_file=tmp_path / "ratios.csv")
    # floor(n / 2 + 1/2), floor(n / 3 + 1/2), floor(n / 4 + 1/2), at least 1, by hand
    small = {"1": (15, 6), "2": (6, 3), "10": (1, 1), "x": (8, 5), "y": (4, 4)}
    for image, person, probe in zip(data.images, data.identity, data.probe, strict=True):
        label = data.identities[person]
        assert image.shape[:2] == (small[label] if probe else SIZES[label])
        if not probe:
            assert np.array_equal(image, noise(f"{label}-g-0", SIZES[label]))
    assert data.images.areas.tolist()[:3] == [330, 90, 90]


def test_full_resolution_and_genuine_sets_are_left_alone(tmp_path) -> None:
    full = read(FullResolution, write(tmp_path))
    assert not full.low_resolution
    assert [i.shape[:2] for i in full.images] == [SIZES[full.identities[p]] for p in full.identity]
    genuine = read(Saying, tmp_path)
    assert genuine.low_resolution
    assert [i.shape[:2] for i in genuine.images] == [(20, 10), (6, 4)] * 2
    assert genuine.probe.tolist() == [False, True] * 2


def test_seed_changes_the_ratios_and_with_them_the_digest(tmp_path) -> None:
    root = write(tmp_path)
    a, b = read(Toy, root, seed=0), read(Toy, root, seed=1)
    assert a.digest != b.digest
    assert [i.shape for i in a.images] != [i.shape for i in b.images]
    gallery = np.flatnonzero(~a.probe)
    assert all(np.array_equal(a.images[i], b.images[i]) for i in gallery)


class TestDigest:
    def test_does_not_depend_on_where_files_lie(self, tmp_path) -> None:
        a, b = read(Toy, write(tmp_path / "one")), read(Toy, write(tmp_path / "other" / "place"))
        assert a.digest == b.digest

    def test_does_not_depend_on_the_bytes_of_files(self, tmp_path) -> None:
        root = write(tmp_path)
        before = read(Toy, root).digest
        for path in (root / "toy").iterdir():
            Image.open(path).save(path, compress_level=0)
        assert read(Toy, root).digest == before

    def test_does_not_depend_on_a_version_that_decodes_and_resizes_alike(self, tmp_path, monkeypatch) -> None:
        root = write(tmp_path)
        before, entries = read(Toy, root).digest, len([*(root / "cache").rglob("*.npy")])
        monkeypatch.setattr("PIL.__version__", "99.0")
        assert read(Toy, root).digest == before
        assert len([*(root / "cache").rglob("*.npy")]) > entries, "decoded again: who knows what another version does"

    @pytest.mark.parametrize("kind", [Toy, FullResolution])
    def test_sees_a_library_that_resizes_otherwise(self, tmp_path, monkeypatch, kind) -> None:
        root = write(tmp_path)
        before = read(kind, root).digest
        monkeypatch.setitem(FILTERS, "bilinear", Image.Resampling.HAMMING)
        assert read(kind, root).digest != before

    def test_sees_images_swapped_with_equal_size_and_time(self, tmp_path) -> None:
        root = write(tmp_path)
        paths = [root / "toy" / f"1-{name}.png" for name in ("p-0", "g-0")]
        for path, value in zip(paths, (20, 200), strict=True):
            Image.fromarray(np.full((9, 9, 3), value, np.uint8)).save(path, compress_level=0)
            os.utime(path, ns=(1, 1))
        before = read(FullResolution, root)
        contents = [path.read_bytes() for path in paths]
        assert len(contents[0]) == len(contents[1])
        for path, content in zip(paths, reversed(contents), strict=True):
            path.write_bytes(content)
            os.utime(path, ns=(1, 1))
        after = read(FullResolution, root)
        assert after.digest != before.digest
        assert (before.images[0].max(), after.images[0].max()) == (200, 20)

    def test_sees_a_pixel(self, tmp_path) -> None:
        before = read(Toy, write(tmp_path / "one"))
        root = write(tmp_path / "other")
        image = noise("y-g-0", SIZES["y"])
        image[3, 4, 1] ^= 1
        Image.fromarray(image).save(root / "toy" / "y-g-0.png")
        assert read(Toy, root).digest != before.digest

    @pytest.mark.parametrize(("old", "new"), [("2-p-1", "1-p-7"), ("2-p-1", "2-q-1")], ids=["identity", "camera"])
    def test_sees_a_label(self, tmp_path, old, new) -> None:
        before = read(Toy, write(tmp_path / "one"))
        root = write(tmp_path / "other")
        (root / "toy" / f"{old}.png").rename(root / "toy" / f"{new}.png")
        assert read(Toy, root).digest != before.digest

    def test_sees_the_sides(self, tmp_path) -> None:
        """With one image per camera both variants have as many probes, so that only the side tells them apart."""
        root = write(tmp_path)
        for path in (root / "toy").glob("*-1.png"):
            path.unlink()
        a, b = read(Toy, root), read(Mirrored, root)
        assert a.digest != b.digest
        assert [i.shape for i in a.images] != [i.shape for i in b.images]
        assert np.array_equal(a.probe, ~b.probe)


def test_a_second_load_takes_the_pixels_from_the_cache(tmp_path) -> None:
    root, cache = write(tmp_path), tmp_path / "kept"
    first = read(Toy, root, cache=cache)
    stamps = {p: p.stat().st_mtime_ns for p in cache.rglob("*.npy")}
    second = read(Toy, root, cache=cache)
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*.npy")} == stamps
    assert len(stamps) == 4, "original and shrunk, the stamp of the files and the digest of the pixels"
    assert all(np.array_equal(a, b) for a, b in zip(first.images, second.images, strict=True))


def test_a_set_and_its_multi_resolution_variant_share_decoded_pixels(tmp_path, monkeypatch) -> None:
    root = write(tmp_path)
    read(Toy, root)
    monkeypatch.setattr("bench.engine.data.decode_all", lambda *_: pytest.fail("decoded again"))
    read(FullResolution, root)


class Swapped(Saying):
    """The larger images on the low-resolution side, all of one camera."""

    name = "swapped"

    def read(self, root: Path) -> Iterable[Photo]:
        return [replace(photo, probe=not photo.probe) for photo in super().read(root)]


class TestWarnings:
    def test_none(self, tmp_path) -> None:
        assert read(Toy, write(tmp_path)).warnings == ()

    def test_sides_of_one_camera_and_a_larger_low_resolution_side(self, tmp_path) -> None:
        sizes, cameras = read(Swapped, tmp_path).warnings
        assert sizes.startswith("the low-resolution side is the larger one: 200 pixels an image on average, 24 on")
        assert cameras == "both sides hold images of one camera (?) for 2 of 2 people"

    def test_sizes_may_differ_at_full_resolution(self) -> None:
        areas, probe = np.array([9.0, 5.0]), np.array([True, False])
        labels = np.array([0, 0]), np.array(["a", "b"])
        assert suspicions(areas, *labels, probe, low_resolution=False) == ()
        assert len(suspicions(areas, *labels, probe, low_resolution=True)) == 1


class TestRatioFile:
    def write(self, folder: Path, *rows: str) -> Path:
        (folder / "ratios.csv").write_text("\n".join(["identity,camera,ratio", *rows]))
        return folder / "ratios.csv"

    def test_conflicting_rows(self, tmp_path) -> None:
        path = self.write(tmp_path, "1,p,1/2", "2,p,1/3", "1,p,1/4")
        with pytest.raises(DataError, match=r"line 4: ratio 1/4 for 1 \(camera p\), 1/2 on line 2;"):
            read_ratio_file(path, [("1", "p")])

    def test_the_same_row_twice(self, tmp_path) -> None:
        path = self.write(tmp_path, "1,p,1/2", "1,p,1/2")
        assert read_ratio_file(path, [("1", "p")]) == [Fraction(1, 2)]


class TestBalancedRatios:
    @settings(deadline=None, max_examples=50)
    @given(st.integers(0, 2000), st.integers(0, 9))
    def test_thirds(self, n, seed) -> None:
        counts = Counter(balanced_ratios(n, seed))
        assert sum(counts.values()) == n
        assert set(counts) <= set(ANCHORS)
        assert max(counts[m] for m in ANCHORS) - min(counts[m] for m in ANCHORS) <= 1
        assert balanced_ratios(n, seed) == balanced_ratios(n, seed)

    def test_the_seed_matters(self) -> None:
        assert len({tuple(balanced_ratios(30, seed)) for seed in range(10)}) == 10

    def test_the_ratios_never_change(self) -> None:
        """Pinned: published results name a seed, not a list of ratios."""
        assert [m.denominator for m in balanced_ratios(12, 0)] == [4, 4, 2, 4, 3, 3, 2, 3, 3, 2, 4, 2]


def test_natural_order() -> None:
    labels = ["b", "10", "9", "a2", "1", "a10", "010"]
    assert list(natural_order(labels)) == ["1", "9", "010", "10", "a10", "a2", "b"]
    assert list(natural_order(labels).values()) == list(range(7))


sizes = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=6)


@settings(deadline=None, max_examples=50)
@given(sizes, st.integers(0, 99))
def test_packing_gives_the_images_back(shapes, seed) -> None:
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]
    packed = unpack(np.concatenate(list(pack(images))), len(images))
    assert len(packed) == len(images)
    assert packed.areas.tolist() == [h * w for h, w in shapes]
    for form in (packed, packed[:], [packed[i] for i in range(-len(images), 0)]):
        assert all(np.array_equal(a, b) for a, b in zip(form, images, strict=True))
    with pytest.raises(IndexError):
        packed[len(images)]
