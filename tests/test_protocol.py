"""Splits, split and ratio files, gallery draws and folds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from bench.protocol.splits import folds, gallery_draws, make_split, read_ratio_file, read_split_file

PEOPLE = ("1", "2", "3", "4")


def names(n: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{i}" for i in range(n)]


class TestSplits:
    @settings(deadline=None, max_examples=50)
    @given(n=st.integers(4, 700), index=st.integers(0, 20), seed=st.integers(0, 5))
    def test_halves(self, n, index, seed) -> None:
        split = make_split(names(n), index, seed)
        assert len(split.train) == n // 2
        assert sorted([*split.train, *split.test]) == list(range(n))
        assert (np.diff(split.train) > 0).all()
        assert (np.diff(split.test) > 0).all()

    def test_a_split_is_a_function_of_seed_and_index(self) -> None:
        def train(index: int, seed: int) -> tuple[int, ...]:
            return tuple(make_split(names(60), index, seed).train)

        assert train(3, 1) == train(3, 1)
        assert len({train(index, seed) for index in range(10) for seed in range(3)}) == 30

    def test_two_sets_of_as_many_people_share_their_splits(self) -> None:
        a, b = make_split(names(50), 2, 0), make_split(names(50, "other"), 2, 0)
        assert np.array_equal(a.train, b.train)
        assert np.array_equal(a.test, b.test)

    def test_the_splits_never_change(self) -> None:
        """Pinned: results of different versions are comparable only while the splits are the same."""
        assert make_split(names(12), 0, 0).test.tolist() == [0, 2, 3, 8, 10, 11]

    def test_every_person_is_tested_in_about_half_of_the_splits(self) -> None:
        tested = np.zeros(40)
        for index in range(200):
            tested[make_split(names(40), index, 0).test] += 1
        assert abs(tested - 100).max() < 5 * np.sqrt(50)

    def test_three_people_are_too_few(self) -> None:
        with pytest.raises(DataError, match="1 training people; at least two are needed"):
            make_split(names(3), 0, 0)


GOOD_SPLITS = (
    "split,identity,part\n0,1,train\n0,2,test\n0,3,train\n0,4,test\n7,1,test\n7,2,test\n7,3,train\n7,4,train\n"
)


class TestSplitFile:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD_SPLITS,
            GOOD_SPLITS.replace("\n", "\r\n"),
            "\ufeff" + GOOD_SPLITS,
            GOOD_SPLITS.replace(",", " , "),
            "part,note,identity,split\ntrain,,1,0\ntest,x,2,0\n\ntrain,,3,0\ntest,,4,0\ntest,,1,7\ntest,,2,7\ntrain,,3,7\ntrain,,4,7",
        ],
        ids=["plain", "windows lines", "byte order mark", "spaces", "other columns"],
    )
    def test_good(self, tmp_path, text) -> None:
        path = tmp_path / "splits.csv"
        path.write_bytes(text.replace("split , identity , part", "split,identity,part").encode())
        for index, train, test in ((0, [0, 2], [1, 3]), (7, [2, 3], [0, 1])):
            split = make_split(PEOPLE, index, 5, path)
            assert (split.train.tolist(), split.test.tolist()) == (train, test)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (GOOD_SPLITS.replace("0,2,test", "0,2,test\n0,3,test"), "1 people in training and in test: 3;"),
            (GOOD_SPLITS.replace("0,2,", "0,9,"), "line 3: the data set has no person '9'"),
            (GOOD_SPLITS.replace("0,2,test\n0,3,train\n", ""), "split 0: 2 people of the data set are missing: 2, 3"),
            (GOOD_SPLITS.replace("0,2,test", "0,2,query"), "line 3: part must be train or test, not 'query'"),
            (GOOD_SPLITS.replace("0,2,test", "0,2"), "line 3: part must be train or test, not ''"),
            (GOOD_SPLITS.replace("part", "side"), "no column part; the header must be split,identity,part"),
            ("", "no column split, identity, part"),
            (GOOD_SPLITS.replace("\n0,", "\n3,"), "has no split 0; it has 3, 7"),
            ("split,identity,part\n", "has no split 0; it has none"),
            (GOOD_SPLITS.replace("test", "train"), "0 test people; at least two are needed"),
        ],
        ids=["overlap", "unknown person", "missing people", "bad part", "short line", "missing column", "empty",
             "missing split", "no lines", "no test people"],
    )  # fmt: skip
    def test_bad(self, tmp_path, text, message) -> None:
        path = tmp_path / "splits.csv"
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            make_split(PEOPLE, 0, 0, path)

    def test_unreadable(self, tmp_path) -> None:
        with pytest.raises(DataError, match=r"cannot read .*nowhere\.csv"):
            read_split_file(tmp_path / "nowhere.csv", PEOPLE, 0)
        path = tmp_path / "latin.csv"
        path.write_bytes("split,identity,part\n0,J\xfcrgen,train\n".encode("latin-1"))
        with pytest.raises(DataError, match=r"cannot read .*latin\.csv"):
            read_split_file(path, PEOPLE, 0)


class TestRatioFile:
    IMAGES = (("1", "a"), ("1", "b"), ("2", "a"), ("2", "a"))

    def test_good(self, tmp_path) -> None:
        path = tmp_path / "ratios.csv"
        path.write_text("identity,camera,ratio\n2,a,1/2\n1,a,1/3\n1,b,1/4\n9,a,1/2\n")
        ratios = read_ratio_file(path, self.IMAGES)
        assert ratios == [Fraction(1, 3), Fraction(1, 4), Fraction(1, 2), Fraction(1, 2)]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("identity,camera,ratio\n1,a,1/5\n", "line 2: ratio must be one of 1/2, 1/3, 1/4, not '1/5'"),
            ("identity,camera,ratio\n1,a,0.5\n", "not '0.5'"),
            ("identity,camera,ratio\n1,a,1/2\n", r"no ratio for 2 images: 1 \(camera b\), 2 \(camera a\)"),
            ("identity,ratio\n1,1/2\n", "no column camera; the header must be path,ratio or identity,camera,ratio"),
            ("path,ratio\na.png,1/2\n", "images are in no files"),
        ],
        ids=["not an anchor", "decimal", "missing images", "missing column", "paths of no files"],
    )
    def test_bad(self, tmp_path, text, message) -> None:
        path = tmp_path / "ratios.csv"
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_ratio_file(path, self.IMAGES)

    def test_for_each_file(self, tmp_path) -> None:
        """Two images of one person and camera have ratios of their own; other images may be listed too."""
        path = tmp_path / "lists" / "ratios.csv"
        path.parent.mkdir()
        path.write_text("path,ratio\n../b.png,1/2\n../a.png,1/3\n../unused.png,1/4\n")
        files = [tmp_path / "a.png", tmp_path / "b.png"]
        assert read_ratio_file(path, [("1", "a")] * 2, files) == [Fraction(1, 3), Fraction(1, 2)]
        with pytest.raises(DataError, match=r"no ratio for 1 images: .*/c\.png"):
            read_ratio_file(path, [("1", "a")], [tmp_path / "c.png"])
        path.write_text("path,ratio\n../a.png,1/2\n../lists/../a.png,1/3\n")
        with pytest.raises(DataError, match=r"line 3: ratio 1/3 for .*/a\.png, 1/2 on line 2"):
            read_ratio_file(path, [("1", "a")], files[:1])


class TestGalleryDraws:
    def test_auto_draws_once_when_there_is_no_choice(self) -> None:
        (draw,) = gallery_draws(np.array([30, 10, 20]), "auto", 0, 0)
        assert draw.tolist() == [1, 2, 0], "people in ascending order"

    def test_auto_draws_100_times_when_there_is_one(self) -> None:
        assert len(gallery_draws(np.array([1, 2, 2, 3]), "auto", 0, 0)) == 100

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 3), st.integers(0, 3))
    def test_one_image_of_each_person(self, people, seed, split) -> None:
        identity = np.array(people)
        draws = gallery_draws(identity, 5, seed, split)
        assert [identity[d].tolist() for d in draws] == [sorted(set(people))] * 5
        again = gallery_draws(identity, 5, seed, split)
        assert all(np.array_equal(a, b) for a, b in zip(draws, again, strict=True))

    def test_every_image_has_the_same_chance(self) -> None:
        identity = np.array([0, 1, 0, 0, 1, 0])
        counts = np.bincount(np.concatenate(gallery_draws(identity, 2000, 0, 0)), minlength=6)
        assert np.abs(counts[[0, 2, 3, 5]] - 500).max() < 100
        assert np.abs(counts[[1, 4]] - 1000).max() < 120

    def test_splits_draw_differently(self) -> None:
        identity = np.repeat(np.arange(20), 10)
        first = {tuple(gallery_draws(identity, 1, seed, split)[0]) for seed in (0, 1) for split in range(5)}
        assert len(first) == 10


@settings(deadline=None, max_examples=50)
@given(st.sets(st.integers(0, 500), min_size=5, max_size=60), st.integers(2, 5), st.integers(0, 3))
def test_folds_partition_the_training_people_and_touch_no_other(people, n, split) -> None:
    everyone = np.array(sorted(people))
    made = folds(everyone, n, 0, split)
    assert len(made) == n
    assert sorted(np.concatenate([held_out for _, held_out in made])) == sorted(people), "held out once each"
    for train, held_out in made:
        assert not set(train) & set(held_out)
        assert set(train) | set(held_out) == people
        assert abs(len(held_out) - len(people) / n) < 1


class TestGalleryShots:
    IDENTITY = np.array([4, 4, 4, 4, 7, 7, 1])

    @pytest.mark.parametrize("shots", [2, 3, 4])
    def test_so_many_images_a_person_or_all(self, shots) -> None:
        for rows in gallery_draws(self.IDENTITY, 30, 0, 0, shots):
            assert len(set(rows)) == len(rows)
            assert self.IDENTITY[rows].tolist() == [1, *[4] * min(shots, 4), *[7] * min(shots, 2)]

    def test_every_image_is_drawn_alike(self) -> None:
        drawn = np.concatenate(gallery_draws(self.IDENTITY, 2000, 0, 0, 2))
        counts = np.bincount(drawn, minlength=7)
        assert counts[4:].tolist() == [2000] * 3
        assert abs(counts[:4] - 1000).max() < 5 * np.sqrt(500)

    @pytest.mark.parametrize(("shots", "draws"), [(1, 100), (3, 100), (4, 1), (9, 1)])
    def test_auto_draws_once_where_there_is_no_choice(self, shots, draws) -> None:
        assert len(gallery_draws(self.IDENTITY, "auto", 0, 0, shots)) == draws
