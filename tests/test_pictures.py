"""Figures that show images: which, in what frames, with which numbers, and of whom they may be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import plot
from bench.engine.cache import Cache, cache_folder
from bench.engine.data import load
from bench.engine.store import Store
from bench.errors import DataError, UsageError
from bench.figures.pictures import RIGHT, WRONG
from bench.plugin.spec import dataset_spec
from bench.protocol.quality import psnr, ssim
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("contract_holds")
SMALL = "synthetic[identities=24]"
PLUGIN = '''
import numpy as np
from bench import Method
from bench.protocol.resize import resize_all

class Brighter(Method):
    """Enhances images by what it keeps, for tests."""
    name = "brighter"
    input_size = (128, 48)
    scales = "own"
    ratio_dependent = True

    def fit(self, train):
        self.added_ = np.array([train.ratio.denominator], np.float32)
        return self

    def enhancer(self):
        return {"added": self.added_}

    def enhance(self, images, enhancer):
        shown = resize_all(images, (128, 48))[:, 2:-2, 4:-4] + enhancer["added"]
        return shown.clip(0, 255).astype(np.uint8)

    def distances(self, probe, gallery):
        p, g = (side.array().mean((1, 2)) for side in (probe, gallery))
        return np.abs(p[:, None] - g).sum(2)


class Plain(Brighter):
    """Enhances nothing, for tests."""
    name = "plainer"
    enhancer = Method.enhancer
'''
COMMAND = ("-d", SMALL, "--splits", "0-1", "--jobs", "1")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "brighter.py").write_text(PLUGIN)
    return folder


@pytest.fixture
def own(plugins, monkeypatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", str(plugins))


@pytest.fixture(scope="module")
def results(tmp_path_factory, plugins) -> Path:
    """Two splits of two methods."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        from bench.cli import main

        patch.setattr("bench.engine.contract.ensure", lambda *_: [])
        more = ("--results", str(folder), "--plugins", str(plugins))
        assert main(["run", "-m", "brighter[sigma=1]", "-m", "plainer[sigma=1]", *COMMAND, *more]) == 0
    return folder


@pytest.fixture(scope="module")
def data():
    return load(dataset_spec(SMALL), None, 0, Cache(cache_folder()))


def images(figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


class TestRanks:
    def test_the_right_ones_are_framed_without_need_of_colour(self, own, results, data) -> None:
        figure = plot("ranks", "brighter[sigma=1]", SMALL, stores=[results])
        (record,) = (r.finished for r in Store(results).read_all()[0] if (r.cell.method[:2], r.cell.split) == ("br", 0))
        tested = np.isin(data.identity, data.split(0, 0).test)
        probes, gallery = np.flatnonzero(tested & data.probe), np.flatnonzero(tested & ~data.probe)
        ranks = np.array(record.probe_ranks)
        best = [int(i) for i in np.lexsort((data.images.areas[probes], ranks))[:3]]
        expected = []
        for i in best:
            listed = gallery[list(record.nearest[i])]
            expected += [data.images[probes[i]], *(data.images[row] for row in listed)]
            if ranks[i] > 10:
                expected.append(data.images[gallery[data.identity[gallery] == data.identity[probes[i]]][0]])
        shown = images(figure)
        assert all(np.array_equal(a, b) for a, b in zip(shown, expected, strict=False))
        assert len(shown) == sum(11 + (ranks[i] > 10) for i in (*best, *np.argsort(-ranks, kind="stable")[:3]))
        frames = [axes.patches[0] for axes in figure.axes[1:11]]
        right = [data.identity[gallery[k]] == data.identity[probes[best[0]]] for k in record.nearest[best[0]]]
        assert any(right)
        widths = [frame.get_linewidth() for frame in frames]
        assert widths == [RIGHT.width if yes else WRONG.width for yes in right]
        assert [frame.get_linestyle() == "solid" for frame in frames] == right
        assert RIGHT.width > 2 * WRONG.width

    def test_probes_are_chosen_by_person(self, own, results, data) -> None:
        person = data.identities[int(data.split(1, 0).test[0])]
        figure = plot("ranks", "brighter[sigma=1]", SMALL, stores=[results], split=1, probe=person)
        row = np.flatnonzero(data.probe & (data.identity == data.split(1, 0).test[0]))[0]
        assert np.array_equal(images(figure)[0], data.images[row])
        assert len(figure.axes) in (11, 12)
        assert any("split 1" in note for note in figure.notes)
        with pytest.raises(UsageError, match="--probe nobody"):
            plot("ranks", "brighter[sigma=1]", SMALL, stores=[results], probe="nobody")


class TestSamples:
    def test_pairs_are_of_one_person_at_both_resolutions(self, data) -> None:
        figure = plot("samples", dataset=SMALL)
        shown = images(figure)
        assert len(shown) == 12
        rows = [next(i for i, image in enumerate(data.images) if np.array_equal(image, one)) for one in shown]
        assert data.probe[rows].tolist() == [True, False] * 6
        assert (data.identity[rows[::2]] == data.identity[rows[1::2]]).all()
        assert len(set(rows)) == 12
        assert sorted(text for text in texts(figure) if "/" in text) == sorted(["1/2", "1/3", "1/4"] * 2)

    def test_of_no_data_set(self) -> None:
        with pytest.raises(UsageError, match="say of which"):
            plot("samples")


class TestQualitative:
    def test_images_and_numbers_are_those_of_their_ratio(self, own, results, data) -> None:
        names = ["brighter[sigma=1]", "bicubic", "bilinear"]
        figure = plot("qualitative", names, SMALL, stores=[results])
        shown = images(figure)
        assert len(shown) == 3 * 5, "LR, two front-ends, the method, HR; a row for each ratio"
        printed = iter([text for text in texts(figure) if text.replace(".", "").isdecimal()])
        for row, ratio in enumerate((2, 3, 4)):
            _, bilinear, bicubic, method, truth = shown[5 * row : 5 * row + 5]
            assert all(image.shape == (124, 40, 3) for image in (bilinear, bicubic, method, truth))
            added = method.astype(int) - bicubic
            assert np.median(added) == ratio, "of the model of the image's own ratio"
            others = (bilinear, bicubic, method)
            assert [next(printed) for _ in others] == [f"{psnr(image, truth):.2f}" for image in others]
            assert [next(printed) for _ in others] == [f"{ssim(image, truth):.3f}" for image in others]

    def test_the_best_of_a_row_is_bold(self, own, results) -> None:
        figure = plot("qualitative", ["brighter[sigma=1]", "bicubic", "bilinear"], SMALL, stores=[results])
        numbers = [text for text in figure.texts if text.get_text().replace(".", "").isdecimal()]
        for first in range(0, len(numbers), 3):
            some = numbers[first : first + 3]
            best = max(float(text.get_text()) for text in some)
            assert [text.get_fontweight() == "bold" for text in some] == [float(t.get_text()) == best for t in some]

    def test_what_cannot_be_shown_says_what_to_run(self, own, results) -> None:
        for arguments, said in [
            ({"method": "bicubic"}, "say of which method"),
            ({"method": "plainer[sigma=1]"}, "does not enhance"),
            ({"method": "brighter[sigma=1]", "split": 1}, "--force.*--enhancers 1"),
            ({"method": "brighter[sigma=1]", "split": 2}, "bench run"),
        ]:
            with pytest.raises(UsageError, match=said):
                plot("qualitative", dataset=SMALL, stores=[results], **arguments)


def test_other_images_are_not_shown_for_a_cells(own, results, monkeypatch) -> None:
    monkeypatch.setattr("bench.engine.data.digest_of", lambda *_: "e" * 64)
    for kind in ("ranks", "qualitative"):
        with pytest.raises(DataError, match="has other images"):
            plot(kind, "brighter[sigma=1]", SMALL, stores=[results])


class TestPeople:
    """A data set of images of people, here of none."""

    @pytest.fixture
    def people(self, tmp_path) -> str:
        lines = ["path,person,camera,resolution"]
        for i in range(8):
            for camera, side in (("a", "lr"), ("b", "hr")):
                Image.new("RGB", (8, 16), (20 * i, 0, 0)).save(tmp_path / f"{i}{side}.png")
                lines.append(f"{i}{side}.png,p{i},{camera},{side}")
        (tmp_path / "people.csv").write_text("\n".join(lines))
        return f"lr_manifest[file={tmp_path}/people.csv]"

    def test_a_file_must_be_named_and_the_terms_are_said(self, bench, people, tmp_path) -> None:
        with pytest.raises(UsageError, match="shows people"):
            plot("samples", dataset=[SMALL, people])
        assert bench("plot", "samples", "-d", people).code == 2
        output = bench("plot", "samples", "-d", people, "-o", tmp_path / "a.png")
        assert output.code == 0
        assert output.out.count("its images are for research") == 1
        assert (tmp_path / "a.png").stat().st_size > 0

    def test_full_resolution_has_no_pairs(self, people, tmp_path) -> None:
        (tmp_path / "full.csv").write_text((tmp_path / "people.csv").read_text())
        with pytest.raises(UsageError, match="full resolution"):
            plot("samples", dataset=f"manifest[file={tmp_path}/full.csv]", output=tmp_path / "a.png")

    def test_drawn_ones_are_free(self) -> None:
        assert plot("samples", dataset=SMALL).notes == ()


def test_no_torch_for_images(plugins, results) -> None:
    script = f"""
import sys
from bench.cli import main
where = ["--results", "{results}", "--plugins", "{plugins}", "-o", "{results}/a.svg"]
method = ["-m", "brighter[sigma=1]"]
for command in (["samples"], ["ranks", *method], ["qualitative", *method, "-m", "bicubic"]):
    assert main(["plot", *command, "-d", "{SMALL}", *where]) == 0, command
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
