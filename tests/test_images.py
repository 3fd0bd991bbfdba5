"""What a method sees of images: selections, features and inner products, against plain numpy; and the cache."""

import platform
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bench.engine.cache import Cache
from bench.errors import BenchError
from bench.files import release
from bench.protocol import images as module
from bench.protocol import products
from bench.protocol.images import Images, Source, share
from bench.protocol.products import inner_products, own_product, tile_product


class MeanColour:
    """A toy feature: mean and spread of each channel.  calls: how many images it was asked for."""

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight
        self._calls = 0

    @property
    def calls(self) -> int:
        return self._calls

    def __repr__(self) -> str:
        return f"MeanColour({self.weight})"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self._calls += len(images)
        return plain(images, self.weight)


def plain(images: np.ndarray, weight: float = 1.0) -> np.ndarray:
    """The same image by image."""
    rows = [np.concatenate([weight * i.mean(axis=(0, 1)), i.std(axis=(0, 1))]) for i in images.astype(float)]
    return np.array(rows).reshape(-1, 6).astype(np.float32)


def pixels(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 6, 4, 3)).astype(np.uint8)


def make_source(n: int, seed: int, cache: Cache) -> Source:
    return Source(f"source {n} {seed}", lambda: [pixels(n, seed)], cache)


def select(source: Source, rows: list[int]) -> Images:
    """Some rows of a source, with labels that tell where each came from."""
    index = np.array(rows, int)
    camera = np.full(len(rows), source.key)
    return Images(((source, index),), index * 10, camera, index + 0.5, [source.array[i] for i in rows])


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def two(cache) -> tuple[Source, Source]:
    return make_source(11, 1, cache), make_source(7, 2, cache)


class TestSelections:
    def test_rows_labels_and_pixels(self, two) -> None:
        chosen = select(two[0], [3, 0, 3])
        assert len(chosen) == 3
        assert chosen.identity.tolist() == [30, 0, 30]
        assert np.array_equal(chosen.array(), pixels(11, 1)[[3, 0, 3]])
        np.testing.assert_allclose(chosen.features(MeanColour()), plain(pixels(11, 1)[[3, 0, 3]]))

    def test_sum_of_two_selections(self, two) -> None:
        a, b = select(two[0], [1, 2]), select(two[1], [6, 0])
        both = a + b
        expected = np.concatenate([pixels(11, 1)[[1, 2]], pixels(7, 2)[[6, 0]]])
        assert len(both) == 4
        assert np.array_equal(both.array(), expected)
        assert both.identity.tolist() == [10, 20, 60, 0]
        assert both.camera.tolist() == [two[0].key] * 2 + [two[1].key] * 2
        assert both.area.tolist() == [1.5, 2.5, 6.5, 0.5]
        assert all(np.array_equal(x, y) for x, y in zip(both.native, expected, strict=True))
        np.testing.assert_allclose(both.features(MeanColour()), plain(expected))

    def test_empty_selection(self, two) -> None:
        empty = select(two[0], []) + select(two[1], [2])
        assert len(empty) == 1
        assert empty.features(MeanColour()).shape == (1, 6)
        assert select(two[0], []).gram(empty, MeanColour()).shape == (0, 1)

    @pytest.mark.parametrize(
        "rows", [[4, 0, 3, 3], [], [1, 2, 3], slice(1, 4), [True, False, True, True, False]], ids=str
    )
    def test_rows_of_a_selection(self, two, rows) -> None:
        whole = (select(two[0], [1, 2]) + select(two[1], [6, 0, 3])).select([4, 1, 0, 2, 3])
        some = whole.select(rows)
        kept = np.arange(5)[rows]
        for name in ("identity", "camera", "area"):
            assert getattr(some, name).tolist() == getattr(whole, name)[kept].tolist()
        assert np.array_equal(some.array(), whole.array()[kept])
        assert [i.tobytes() for i in some.native] == [whole.native[int(i)].tobytes() for i in kept]
        np.testing.assert_array_equal(some.features(MeanColour()), whole.features(MeanColour())[kept])
        gram = whole.gram(whole, MeanColour())
        np.testing.assert_allclose(some.gram(whole, MeanColour()), gram[kept], rtol=1e-12)
        np.testing.assert_allclose(whole.gram(some, MeanColour()), gram[:, kept], rtol=1e-12)
        twice = some + whole
        assert np.array_equal(twice.array(), np.concatenate([some.array(), whole.array()]))
        assert twice.identity.tolist() == [*some.identity, *whole.identity]

    def test_native_images_are_a_sequence(self, two) -> None:
        native = (select(two[0], [3, 0]) + select(two[1], [1])).native
        assert np.array_equal(native[-1], pixels(7, 2)[1])
        assert [i.tobytes() for i in native[1:]] == [i.tobytes() for i in (native[1], native[2])]
        with pytest.raises(IndexError):
            native[3]

    def test_images_without_labels_say_why(self, two) -> None:
        labelled = select(two[0], [3, 0])
        nameless = replace(labelled, _identity=None)
        for images in (nameless, nameless.select([0]), nameless + labelled):
            with pytest.raises(BenchError, match="have no identity"):
                _ = images.identity


class TestKeys:
    def test_an_extractors_version_and_its_parts_name_its_results(self, monkeypatch) -> None:
        class Around(MeanColour):
            def __init__(self, inner) -> None:
                super().__init__()
                self.inner = inner

        def key() -> str:
            return module.extractor_key(Around(MeanColour()))

        names = [key()]
        monkeypatch.setattr(MeanColour, "version", 2, raising=False)
        names.append(key())
        monkeypatch.setattr(sys.modules[__name__], "PART", ("toy", 1), raising=False)
        names.append(key())
        assert len(set(names)) == 3
        assert module.extractor_key(MeanColour()) != module.extractor_key(MeanColour(2.0))

    def test_what_an_extractor_holds_names_its_results(self) -> None:
        class Learned(MeanColour):
            def __repr__(self) -> str:
                return "Learned()"

        keys = []
        for weights in ([1.0, 2.0], [1.0, 3.0], [1.0, 2.0]):
            extractor = Learned()
            extractor.weights = np.array(weights)
            keys.append(module.extractor_key(extractor))
        assert keys[0] == keys[2] != keys[1]

    def test_an_address_is_no_name(self) -> None:
        class Nameless:
            def __call__(self, images: np.ndarray) -> np.ndarray:
                return images.reshape(len(images), -1).astype(np.float32)

        with pytest.raises(BenchError, match="Nameless has no __repr__"):
            module.extractor_key(Nameless())


class TestFeatures:
    def test_are_computed_once_for_all_selections(self, two, cache) -> None:
        extractor = MeanColour()
        for rows in ([0, 1], [5], [5, 10, 2]):
            select(two[0], rows).features(extractor)
        assert extractor.calls == 11
        again = MeanColour()
        select(make_source(11, 1, cache), [4]).features(again)
        assert again.calls == 0, "a source of the same key in another process finds them"

    def test_differ_by_parameter_and_source(self, two) -> None:
        one, double = MeanColour(1.0), MeanColour(2.0)
        np.testing.assert_allclose(two[0].features(double)[:, :3], 2 * two[0].features(one)[:, :3], rtol=1e-6)
        assert two[1].features(one).shape == (7, 6)

    @pytest.mark.parametrize("chunk", [1, 4, 64])
    def test_do_not_depend_on_batches(self, two, monkeypatch, chunk) -> None:
        monkeypatch.setattr(module, "CHUNK", chunk)
        assert np.array_equal(two[0].features(MeanColour()), plain(pixels(11, 1)))

    def test_do_not_depend_on_processes(self, two, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(module, "CHUNK", 2)
        other = make_source(11, 1, Cache(tmp_path / "other"))
        assert np.array_equal(other.features(MeanColour(), jobs=2), two[0].features(MeanColour(), jobs=1))


def float64_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[float(np.dot(x.astype(float), y.astype(float))) for y in b] for x in a]).reshape(len(a), len(b))


class TestGram:
    @pytest.mark.parametrize("tile", [1, 3, 512])
    @pytest.mark.parametrize("symmetric", [False, True])
    def test_tiles_equal_a_plain_product(self, monkeypatch, tile, symmetric) -> None:
        monkeypatch.setattr(products, "TILE", tile)
        rng = np.random.default_rng(0)
        a = rng.normal(size=(10, 4)).astype(np.float32)
        b = a if symmetric else rng.normal(size=(7, 4)).astype(np.float32)
        product = inner_products(a, b, symmetric)
        np.testing.assert_allclose(product, float64_product(a, b), rtol=1e-12, atol=1e-12)
        if symmetric:
            assert np.array_equal(product, product.T)

    def test_tiles_do_not_depend_on_processes(self, monkeypatch) -> None:
        monkeypatch.setattr(products, "TILE", 4)
        a = np.random.default_rng(0).normal(size=(10, 50)).astype(np.float32)
        assert np.array_equal(inner_products(a, a, True, jobs=2), inner_products(a, a, True, jobs=1))

    @pytest.mark.parametrize("rows", [512, 120, 64, 65, 40, 1])
    @pytest.mark.parametrize("length", [26_960, 1_152, 1_151, 20])
    def test_one_triangle_is_to_the_bit_what_a_product_of_two_is(self, rows, length) -> None:
        """Where OpenBLAS has kernels for x86; elsewhere to rounding."""
        a = np.random.default_rng(0).normal(size=(rows, length)).astype(np.float32)
        wide = a.astype(np.float64)
        with threadpool_limits(1):
            own, product = own_product(wide), tile_product(wide, a)
        assert np.array_equal(own, own.T)
        np.testing.assert_allclose(own, product, rtol=0, atol=1e-13 * product.max())
        if {"openblas"} == {pool["internal_api"] for pool in threadpool_info() if pool["user_api"] == "blas"} and (
            platform.machine() in ("x86_64", "AMD64")
        ):
            assert np.array_equal(own, product)

    @pytest.mark.parametrize("budget", [0, 80, 2**27], ids=["nothing kept", "some kept", "all kept"])
    def test_equals_a_plain_product_whatever_is_kept(self, two, monkeypatch, budget) -> None:
        monkeypatch.setattr(module, "GRAM_BUDGET", budget)
        left = select(two[0], [8, 1, 1]) + select(two[1], [0, 6])
        right = select(two[1], [3]) + select(two[0], [10, 1])
        rows = plain(left.array()), plain(right.array())
        np.testing.assert_allclose(left.gram(right, MeanColour()), float64_product(*rows), rtol=1e-12)
        own = left.gram(left, MeanColour())
        np.testing.assert_allclose(own, float64_product(rows[0], rows[0]), rtol=1e-12)
        np.testing.assert_allclose(own, own.T, rtol=1e-14)

    def test_too_large_a_pair_is_never_kept(self, two, cache, monkeypatch) -> None:
        monkeypatch.setattr(module, "GRAM_BUDGET", 11 * 7 - 1)
        share(two, MeanColour(), 1)
        kept = sorted(shape for p in cache.folder.rglob("*.npy") if len(shape := np.load(p).shape) == 2)
        assert kept == [(7, 6), (7, 7), (11, 6)], "both features, and the one Gram matrix that fits"

    def test_sharing_leaves_nothing_to_compute(self, two) -> None:
        share(two, MeanColour(), 1)
        late = MeanColour()
        left, right = select(two[0], [0, 3]), select(two[1], [5])
        (left + right).gram(left, late)
        assert late.calls == 0

    def test_both_orders_of_a_pair_are_one_matrix(self, two, cache) -> None:
        a, b = two
        np.testing.assert_array_equal(a.gram(b, MeanColour()), b.gram(a, MeanColour()).T)
        assert len([p for p in cache.folder.rglob("*.npy") if np.load(p).shape in ((7, 11), (11, 7))]) == 1


class TestMemory:
    """What is large goes through the cache's files, block by block, and comes back as read-only memory maps."""

    @pytest.mark.parametrize("sizes", [[3], [1, 4, 2], [0, 2], [0]], ids=str)
    def test_rows_in_blocks_are_what_they_are_in_one(self, cache, sizes) -> None:
        blocks = [np.random.default_rng(n).integers(0, 9, (n, 2, 3)) for n in sizes]
        kept = cache.rows("key", lambda: iter(blocks))
        assert np.array_equal(kept, np.concatenate(blocks))
        assert kept.dtype == blocks[0].dtype
        assert isinstance(kept, np.memmap)
        assert cache.rows("key", lambda: pytest.fail("made twice")).shape == kept.shape

    def test_a_failing_block_leaves_nothing_and_is_heard(self, cache) -> None:
        def blocks():
            yield np.ones(3)
            raise FileNotFoundError("weights")

        with pytest.raises(FileNotFoundError, match="weights"):
            cache.rows("key", blocks)
        assert [p.suffix for p in cache.folder.rglob("*.*")] in ([], [".lock"])
        assert cache.rows("key", lambda: [np.ones(2)]).tolist() == [1, 1]

    def test_images_of_a_source_are_a_map_that_can_be_release(self, two) -> None:
        array = two[0].array
        assert isinstance(array, np.memmap)
        release(array[2:])
        assert np.array_equal(array, pixels(11, 1))
        release(np.ones(3))

    def test_letting_go_gives_memory_back(self, cache) -> None:
        if not Path("/proc/self/smaps").exists():
            pytest.skip("resident memory of a map is read from /proc")
        array = cache.rows("key", lambda: [np.ones((64, 2**16), np.uint8)])
        array.sum()
        before = resident(cache.path("key"))
        release(array)
        assert (before, resident(cache.path("key"))) == (4096, 0)
        assert array.sum() == 2**22


def resident(path: Path) -> int:
    """KiB of a mapped file, its header aside, that are in this process's memory."""
    _, _, mapped = Path("/proc/self/smaps").read_text().partition(str(path))
    return int(mapped.split("Rss:")[1].split()[0]) // 64 * 64


class TestCache:
    def test_round_trip_and_read_only(self, cache) -> None:
        array = np.arange(6.0).reshape(2, 3)
        kept = cache.array("key", lambda: array)
        assert np.array_equal(kept, array)
        assert np.array_equal(cache.array("key", lambda: pytest.fail("made twice")), array)
        with pytest.raises(ValueError, match="read-only"):
            kept[0, 0] = 1
        assert cache.get("another key") is None

    @pytest.mark.parametrize("error", [RuntimeError("no"), FileNotFoundError("weights"), KeyboardInterrupt()], ids=repr)
    def test_a_failing_make_leaves_nothing_and_is_heard(self, cache, error) -> None:
        def fail() -> np.ndarray:
            raise error

        with pytest.raises(type(error)):
            cache.array("key", fail)
        assert [p.suffix for p in cache.folder.rglob("*.*")] in ([], [".lock"])
        assert cache.array("key", lambda: np.ones(2)).tolist() == [1, 1]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda raw: b"",
            lambda raw: raw[:5],
            lambda raw: raw[:64],
            lambda raw: raw[:-1],
            lambda raw: b"not an array at all",
            lambda raw: raw[:8] + b"\x01" + raw[9:],
            lambda raw: raw.replace(b"(2, 3)", b"(2, -)"),
            lambda raw: raw.replace(b"(2, 3)", b"(-2,3)"),
        ],
        ids=["empty", "5 bytes", "half a header", "a byte short", "text", "header length", "shape", "negative shape"],
    )
    def test_a_damaged_file_is_made_anew(self, cache, damage) -> None:
        cache.array("key", lambda: np.zeros((2, 3)))
        path = cache.path("key")
        path.write_bytes(damage(path.read_bytes()))
        assert cache.array("key", lambda: np.ones((2, 3))).tolist() == [[1, 1, 1]] * 2
        assert cache.array("key", lambda: pytest.fail("not kept")).tolist() == [[1, 1, 1]] * 2

    def test_two_threads_compute_once(self, cache) -> None:
        made, results = [], []
        inside, proceed = threading.Event(), threading.Event()

        def slow() -> np.ndarray:
            made.append(1)
            inside.set()
            proceed.wait(5)
            return np.arange(3)

        threads = [threading.Thread(target=lambda: results.append(cache.array("key", slow))) for _ in range(2)]
        threads[0].start()
        inside.wait(5)
        threads[1].start()
        threads[1].join(0.1)  # time to ask for the array that the first is making
        proceed.set()
        for thread in threads:
            thread.join(5)
        assert len(made) == 1
        assert [r.tolist() for r in results] == [[0, 1, 2]] * 2

    def test_a_folder_that_cannot_be_written(self, tmp_path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(BenchError, match=r"cannot write to the cache .*; free space or set BENCH_CACHE"):
            Cache(tmp_path / "file").array("key", lambda: np.ones(1))


def test_ratio_and_other_exact_numbers_name_themselves() -> None:
    assert module.digest(Fraction(1, 3)) == module.digest(Fraction(2, 6)) != module.digest(1 / 3)
    assert module.digest(np.arange(3)) != module.digest(np.arange(4))


class Masked(MeanColour):
    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.ma.masked_less(super().__call__(images), 100)


def test_masked_features_are_refused_and_not_kept(two) -> None:
    for _ in range(2):
        with pytest.raises(BenchError, match="returned a masked array; a plain one expected"):
            two[0].features(Masked())
