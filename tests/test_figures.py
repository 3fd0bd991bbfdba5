"""Figures: what is in their axes, the files they become, and names that stay text."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

import bench as package
from bench.engine import inventory
from bench.engine.inventory import FORMAT, Inventory, Photo
from bench.engine.record import Scores, Sizes
from bench.engine.store import Store
from bench.errors import BenchError, UsageError
from bench.figures.canvas import styled
from bench.figures.history import published_methods, year_of
from bench.figures.kinds import KINDS
from bench.figures.looks import looks
from bench.figures.text import Labels, cut, width, wrapped
from bench.protocol.fusion import weights
from bench.protocol.statistics import confidence_interval
from tests.cells import cell, fill, record
from tests.conftest import modules_after

DATA, XQDA = "mlr_viper", "bicubic+xqda"
HOSTILE = ("$x_1$+xqda", "_hidden", "<b>&amp;", "two\nlines", "\\frac{1}{2}", "x" * 300, "一+nfst", "$")
LOSS = {"step": [0, 10, 20], "loss": {"total": [3.0, 2.0, 1.0], "sr": [0.3, 0.2, 0.1]}}
SINGLE = {"1/2": 0.1, "1/3": 0.2, "1/4": 0.3, "1/2+1/3": 0.4, "1/2+1/4": 0.5, "1/3+1/4": 0.6, "1/2+1/3+1/4": 0.7}
SUBSETS = {name: Scores((value,) * 20, 0.5) for name, value in SINGLE.items()}
RATIOS = ("1/2", "1/3", "1/4", "1/2")
AREAS = {"1/2": 800, "1/3": 300, "1/4": 200}


def points(axes: Axes, label: str) -> dict[float, float]:
    """x -> y of the line of that label."""
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return dict(zip(map(float, found.get_xdata()), map(float, found.get_ydata()), strict=True))


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.fixture
def store(tmp_path) -> Path:
    fill(tmp_path, XQDA, DATA, [0.1, 0.2, 0.3])
    fill(tmp_path, "judea", DATA, [0.2] * 10)
    return tmp_path


@pytest.fixture
def everything(tmp_path) -> Path:
    """A store that each kind finds something in."""
    fused = {"fusion": "weighted", "subsets": SUBSETS, "sigma": {"1/2+1/3+1/4": 0.25}}
    curves = {"1/2": {"sing": LOSS}, "1/3": {"sing": LOSS}}
    fill(tmp_path, "sing", DATA, [0.7, 0.7], curves=curves, **fused)
    fill(tmp_path, "sing[alpha=0.0,anchors=1/3]", DATA, [0.1, 0.3])
    resolved(tmp_path)
    return tmp_path


def resolved(folder: Path, **fields: object) -> None:
    """Two splits of four people, two of whom test, and the table of their images."""
    sides = [("gallery", "a", 40, 40, ""), ("probe", "b", 20, 40, "1/2"), ("probe", "b", 20, 15, "1/3")]
    sides += [("probe", "b", 20, 10, "1/4")]
    people = "1234"
    images = [Photo(s, p, c, h, w, ratio, "") for p in people for s, c, h, w, ratio in sides]
    splits = {0: ((0, 1), (2, 3)), 1: ((2, 3), (0, 1))}
    inventory.write(Store(folder), Inventory(FORMAT, DATA, "d" * 64, splits, tuple(images)))
    sizes = Sizes(train_people=2, test_people=2, probes=6, gallery_images=2, gallery_draws=1)
    for split, ranks in enumerate(((1, 1, 2, 1, 2, 2), (1, 2, 2, 1, 1, 2))):
        hits = ranks.count(1) / 6
        made = record([0], cmc=(hits, 1.0), sizes=sizes, probe_ranks=tuple(map(float, ranks)), **fields)
        Store(folder).put(cell(XQDA, DATA, split), made, {})


def test_cmc_shows_means_intervals_and_published_points(store) -> None:
    (axes,) = package.plot("cmc", dataset=DATA, stores=[store]).axes
    frame = package.results(XQDA, DATA, ranks=range(1, 21), stores=[store])
    assert points(axes, XQDA) == pytest.approx(frame.groupby("rank")["value"].mean().to_dict())
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx(confidence_interval([10, 20, 30]))
    published = package.report.frame.published_results()
    printed = published[(published.dataset == DATA) & (published.method == XQDA)].set_index("rank")["value"]
    hollow = [dict(zip(*line.get_data(), strict=True)) for line in axes.lines if line.get_linestyle() == "None"]
    assert printed.to_dict() in hollow


def test_rows_and_data_sets_are_chosen_as_for_tables(store) -> None:
    fill(store, "xqda[solver=eigh]", "viper", [0.4])
    labels = [line.get_label() for line in package.plot("cmc", "bi*", DATA, stores=[store]).axes[0].lines]
    assert labels[0] == XQDA
    assert "judea" not in labels
    figure = package.plot("cmc", dataset=["mlr*", "viper"], method="*", stores=[store])
    assert {"mlr_viper", "viper"} <= set(texts(figure))
    assert any(text.startswith("xqda[solver=eigh]") for text in texts(figure))


def test_what_is_not_as_it_seems_is_marked(tmp_path) -> None:
    fill(tmp_path, "sing", DATA, [0.1], profile="quick")
    fill(tmp_path, "judea", DATA, [0.2] * 10)
    figure = package.plot("cmc", stores=[tmp_path])
    assert "sing*†" in texts(figure)
    assert "judea" in texts(figure)
    caption = " ".join(texts(figure))
    assert "* schedule quick" in caption
    assert "† 1 split" in caption
    assert any("not ranked with it: sing on mlr_viper: split 0" in note for note in figure.notes)


def test_alpha_is_a_line_over_the_splits_that_all_points_have(tmp_path) -> None:
    for alpha, values in (("0.0", [0.1, 0.2]), ("2.0", [0.3])):
        fill(tmp_path, f"sing[alpha={alpha},anchors=1/3]", DATA, values)
    fill(tmp_path, "sing[anchors=1/3]", DATA, [0.25, 0.9])
    figure = package.plot("alpha", stores=[tmp_path])
    assert points(figure.axes[0], "sing[anchors=1/3]") == pytest.approx({0: 10, 1: 25, 2: 30})
    assert any("split 0 alone" in note for note in figure.notes)


def test_fusion_shows_every_subset_and_the_weights_of_equation_8(everything) -> None:
    figure = package.plot("fusion", stores=[everything])
    top, below = figure.axes
    assert points(top, "sing") == pytest.approx({100 * value: place for place, value in enumerate(SINGLE.values())})
    r = np.array([0.25, 0.5])
    expected = weights(r, [0.5, 1 / 3, 0.25], 0.25)[:, 0] / weights(r, [0.5, 1 / 3, 0.25], 0.25).sum(axis=1)
    shown = points(below, "anchor 1/2")
    assert np.interp(r, list(shown), list(shown.values())) == pytest.approx(expected, abs=1e-3)
    assert "σ 0.25, fixed" in texts(figure)


def test_resolution_lays_ranks_against_ratio_and_size(tmp_path) -> None:
    resolved(tmp_path)
    figure = package.plot("resolution", stores=[tmp_path])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1/4\n200 px", "1/3\n300 px", "1/2\n800 px"]
    # By hand: of the first split 0 of 2 probes at 1/4, 1 of 2 at 1/3 and 2 of 2 at 1/2; of the second 0, 1 and 2.
    assert list(points(axes, XQDA).values()) == pytest.approx([0, 50, 100])


def test_resolution_shows_mean_ranks_where_cells_do_not_tell_hits(tmp_path) -> None:
    sizes = Sizes(train_people=2, test_people=2, probes=6, gallery_images=2, gallery_draws=7)
    resolved(tmp_path)
    several = Store(tmp_path)
    for split in range(2):
        made = record([0], cmc=(0.5, 1.0), sizes=sizes, probe_ranks=(1.0, 1.2, 1.4) * 2)
        several.put(cell(XQDA, DATA, split), made, {})
    figure = package.plot("resolution", stores=[tmp_path])
    assert list(points(figure.axes[0], XQDA).values()) == pytest.approx([1.4, 1.2, 1.0])
    assert "mean ranks" in figure.notes[0]
    for split in range(2):
        made = record([0], cmc=(0.5, 1.0), sizes=sizes, probe_ranks=(1.0, 1.2, 1.4) * 2, probe_hits=(1.0, 0.8, 0.6) * 2)
        several.put(cell(XQDA, DATA, split), made, {})
    shown = points(package.plot("resolution", stores=[tmp_path]).axes[0], XQDA)
    assert list(shown.values()) == pytest.approx([60, 80, 100])


def test_training_shows_the_terms_of_one_row_and_the_totals_of_several(everything) -> None:
    (axes,) = package.plot("training", stores=[everything]).axes
    assert points(axes, "total") == {0: 3, 10: 2, 20: 1}
    assert points(axes, "sr") == {0: 0.3, 10: 0.2, 20: 0.1}
    wrong = {"1/2": {"sing": {"step": "abc", "loss": {"total": [1]}}, "other": [1, 2], "sld2l": {"loss": 3}}}
    fill(everything, "judea", DATA, [0.2], curves={**wrong, "1/3": {"sing": LOSS}})
    figure = package.plot("training", stores=[everything])
    assert points(figure.axes[0], "judea") == {0: 3, 10: 2, 20: 1}


def test_cost_shows_the_median_and_says_what_is_not_recorded(tmp_path) -> None:
    for split, seconds in enumerate((1.0, 5.0, 100.0)):
        cost = {"fit_seconds": seconds, "total_seconds": 101.0}
        Store(tmp_path).put(cell(XQDA, DATA, split), record([0.3], cost=cost), {})
    figure = package.plot("cost", stores=[tmp_path])
    (axes,) = figure.axes
    assert points(axes, XQDA) == pytest.approx({5: 30})
    assert "not recorded: time to match, memory, parameters" in " ".join(texts(figure))


def test_every_published_method_has_a_year() -> None:
    assert [method for method in published_methods() if not 2015 <= year_of(method) <= 2030] == []


def test_history_is_in_the_order_of_years_and_marks_later_papers(store) -> None:
    figure = package.plot("history", dataset=DATA, stores=[store])
    (axes,) = figure.axes
    names = [label.get_text().rstrip("*") for label in axes.get_yticklabels()]
    assert names.index("judea") < names.index("sdf") < names.index("sing") < names.index("ps-hrnet")
    assert points(axes, "judea") == pytest.approx({20: names.index("judea")})
    crosses = {names[int(line.get_ydata()[0])]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "x"}
    assert crosses["ps-hrnet"] == 48.7
    assert "sing" not in crosses


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if not kind.people])
def test_every_kind_fits_a_column_and_nothing_lies_on_other_text(everything, kind) -> None:
    figure = package.plot(kind, stores=[everything], output=everything / "a.pdf")
    assert figure.get_size_inches()[0] == pytest.approx(3.3)
    with styled():
        figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in written(figure)]
    assert len(boxes) > 5
    for place, (text, box) in enumerate(boxes):
        assert figure.bbox.contains(box.x0, box.y0), text
        assert figure.bbox.contains(box.x1, box.y1), text
        assert not [other for other, b in boxes[place + 1 :] if box.overlaps(b)], text


def written(figure) -> Iterator[Text]:
    """The texts that are to be seen in a figure."""
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            yield from (tick.label1 for tick in ticks if tick.label1.get_visible() and tick.label1.get_text())


def test_files_are_the_same_bytes_again(store, tmp_path) -> None:
    for suffix, start in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
        files = [tmp_path / f"{name}.{suffix}" for name in "ab"]
        for file in files:
            package.plot("cmc", stores=[store], output=file)
        assert files[0].read_bytes() == files[1].read_bytes()
        assert files[0].read_bytes().startswith(start)


def test_fonts_are_embedded_and_svg_text_is_text(store, tmp_path) -> None:
    package.plot("cmc", stores=[store], output=tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    figure = package.plot("cmc", stores=[store])
    figure.savefig(tmp_path / "own.pdf")
    assert (tmp_path / "own.pdf").read_bytes() == content, "also where the user writes it"
    figure.savefig(tmp_path / "a.jpg")
    figure.savefig(tmp_path / "a.svg")
    shown = [e.text for e in ElementTree.parse(tmp_path / "a.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert XQDA in "".join(filter(None, shown))


def test_hostile_names_stay_text(tmp_path) -> None:
    for name in HOSTILE:
        fill(tmp_path, name, "caviar", [0.2, 0.3])
    figure = package.plot("cmc", method="*", dataset="caviar", stores=[tmp_path], output=tmp_path / "a.svg")
    package.plot("cmc", method="*", dataset="caviar", stores=[tmp_path], output=tmp_path / "a.pdf")
    shown = " ".join(filter(None, (e.text for e in ElementTree.parse(tmp_path / "a.svg").iter())))
    for name in ("$x_1$+xqda", "_hidden", "<b>&amp;", "two\\nlines", "\\frac{1}{2}", "(U+4E00)+nfst", "$"):
        assert name in shown
    assert any("x" * 300 in note for note in figure.notes), "what was cut is said"


def test_many_rows_are_told_apart_without_colour() -> None:
    found = looks([f"m{i}" for i in range(24)])
    assert len({(look.marker, look.whole) for look in found.values()}) == 24
    assert len({look.colour for look in list(found.values())[:8]}) == 8


def test_labels_are_no_wider_than_their_place_and_distinct() -> None:
    names = ["a" * 80 + end + "b" * 80 for end in "xyz"]
    labels = Labels(names, 1.0)
    assert len({labels(name) for name in names}) == 3
    assert all(width(labels(name)) <= 1.0 for name in names)
    assert cut("short", 1.0) == "short"
    assert wrapped("one two", 0.3) == ["one", "two"]
    assert wrapped("one two; three four", 0.8) == ["one two;", "three four"]


def test_torch_is_not_imported(everything, tmp_path) -> None:
    kinds = [kind.name for kind in KINDS.values() if not kind.people]
    modules = modules_after(*(["plot", kind, "--results", everything, "-o", tmp_path / "a.png"] for kind in kinds))
    assert not {"torch", "sklearn", "pandas"} & modules


class TestErrors:
    def test_one_line_each(self, bench, store, tmp_path, monkeypatch) -> None:
        file = tmp_path / "a.png"
        cases = {
            ("plot", "cmcs", "-o", file): (2, "no kind of figure 'cmcs': did you mean 'cmc'?"),
            ("plot", "cmc", "-o", tmp_path / "a.gif"): (2, "ends in .png, .pdf, .svg"),
            ("plot", "cmc", "-o", tmp_path / "noending"): (2, "ends in .png, .pdf, .svg"),
            ("plot", "cmc", "-m", "sing", "-o", file): (2, "no finished cell of sing; `status` says what there is"),
            ("plot", "cmc", "-d", "viperr", "-o", file): (2, "no data set 'viperr': did you mean 'viper'?"),
            ("plot", "alpha", "-o", file): (2, "no finished cell"),
            ("plot", "fusion", "-o", file): (2, "no finished cell"),
            ("plot", "training", "-o", file): (2, "no cell of these holds learning curves"),
            ("plot", "resolution", "-o", file): (2, "no table of images beside these cells"),
            ("plot", "cmc", "-o", store / DATA / "x.png" / "y.png"): (0, ""),
            ("plot", "cmc", "-o", store / "judea.png" / "y.png"): (1, "cannot write"),
        }
        (store / "judea.png").write_text("a file")
        for arguments, (code, message) in cases.items():
            output = bench(*arguments, "--results", store)
            assert (output.code, message in output.err) == (code, True), (arguments, output.err)
            assert len(output.err.splitlines()) == 1
        assert not file.exists()

    def test_without_matplotlib(self, bench, store, tmp_path, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        output = bench("plot", "cmc", "--results", store, "-o", tmp_path / "a.png")
        assert output.code == 2
        assert "figures need matplotlib" in output.err
        assert len(output.err.splitlines()) == 1

    def test_from_python(self, store, tmp_path) -> None:
        with pytest.raises(UsageError, match="no kind of figure"):
            package.plot("nope")
        with pytest.raises(UsageError, match="ends in"):
            package.plot("cmc", stores=[store], output=tmp_path / "a.txt")
        (tmp_path / "file").write_text("")
        with pytest.raises(BenchError, match="cannot write"):
            package.plot("cmc", stores=[store], output=tmp_path / "file" / "a.png")

    @pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'{"format": 1}'])
    def test_a_broken_table_of_images(self, bench, tmp_path, content) -> None:
        resolved(tmp_path)
        path = next(tmp_path.glob("*/images-*.json"))
        path.write_bytes(content)
        output = bench("plot", "resolution", "--results", tmp_path, "-o", tmp_path / "a.png")
        assert (output.code, len(output.err.splitlines())) == (2, 1)
        assert f"{path} is not a readable table of images" in output.err
        assert bench("table", "2", "--results", tmp_path).code == 0, "no table needs it"
        status = bench("status", "--results", tmp_path)
        assert status.code == 1
        assert str(path) in status.err


def test_the_command_prints_what_a_reader_must_know(bench, store, tmp_path) -> None:
    output = bench("plot", "cmc", "--results", store, "-o", tmp_path / "a.png")
    assert output.code == 0
    assert output.err == f"wrote {tmp_path / 'a.png'}\n"
    assert "not ranked with it: bicubic+xqda on mlr_viper: splits 0-2" in output.out
    assert {row["name"] for row in json.loads(bench("list", "figures", "--json").out)} == set(KINDS)
