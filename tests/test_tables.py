"""Tables from a store filled by hand."""

import csv
import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from scipy import stats

from bench.engine.identity import depends_of
from bench.engine.record import Scores
from bench.engine.store import Store, read_stores
from bench.errors import UsageError
from bench.report.blocks import marks
from bench.report.content import Entry
from bench.report.notes import by_value
from bench.report.published import PUBLISHED, find_table, table_kinds
from bench.report.render import SUFFIXES, render, write_table
from bench.report.tables import main_table, make_table
from bench.report.tidy import COLUMNS
from tests.cells import COMPUTED, cell, fill, record

XQDA = "bicubic+xqda"


def printed(column: str, table: str) -> list[str]:
    """Data sets or methods of a table in the order of the published file."""
    with (PUBLISHED / "published.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == table]
    if column == "dataset":
        names = [r["dataset"] + (f"[gallery_shots={r['shots']}]" if r["shots"] != "1" else "") for r in rows]
        return list(dict.fromkeys(names))
    return list(dict.fromkeys(row[column] for row in rows))


def table(store: Store, name: str, *patterns: str, **options):
    return make_table(find_table(name), store.read_all()[0], patterns, **options)


def older(method: str, dataset: str = "caviar") -> dict:
    """What a method's cells depended on before its version was raised."""
    depends = dict(depends_of(method, dataset))
    return {**depends, "method": {**depends["method"], "version": 0}}


def rows_of(text: str) -> dict[tuple[str, str, int], dict[str, str]]:
    return {(row["dataset"], row["method"], int(row["rank"])): row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture
def store(tmp_path) -> Store:
    """On caviar: three splits of one printed method, two of another, ten of one the paper does not have."""
    fill(tmp_path, XQDA, "caviar", [0.20, 0.30, 0.40], draws=100)
    fill(tmp_path, "bilinear+nfst", "caviar", [0.25, 0.25], depends=older("bilinear+nfst"), profile="quick")
    return fill(tmp_path, "my_own[p=50%,q=#1]", "caviar", [0.5] * 10, depends=dict(depends_of(XQDA, "caviar")))


class TestNumbers:
    def test_mean_interval_published_and_difference(self, store) -> None:
        entry = table(store, "2").entries["caviar", XQDA, 1]
        low, high = stats.t.interval(0.95, 2, 30, stats.sem([20, 30, 40]))
        assert entry.mean == pytest.approx(30)
        assert entry.interval == pytest.approx((low, high))
        assert (entry.published, entry.difference) == (24.3, pytest.approx(5.7))

    def test_rank_beyond_a_small_gallery(self, tmp_path) -> None:
        """Ten people are in the gallery: there is no rank 20."""
        store = Store(tmp_path)
        curve = [k / 10 for k in range(1, 11)]
        store.put(cell(XQDA, "caviar"), record([0], cmc=tuple(curve)), {})
        made = table(store, "2", methods=[XQDA])
        means = [made.entries["caviar", XQDA, k].mean for k in (1, 5, 10, 20)]
        assert means == [pytest.approx(10), pytest.approx(50), pytest.approx(100), None]
        assert [n for n in made.notes if n.startswith("--")] == [
            "--: also a rank beyond the size of the gallery: caviar: 10 people"
        ]
        (row,) = [line for line in blocks(render(made, "markdown", True))[0] if XQDA in line]
        assert [c.strip() for c in row.split("|")[-4:-1]] == ["--", "99.2", "--"]
        assert re.search(r" & 100\.0 & [^&]+ & [^&]+ & -- & 99\.2 & -- \\\\", render(made, "latex", True))
        row = rows_of(render(made, "csv", True))["caviar", XQDA, 20]
        assert (row["mean"], row["difference"], row["splits"]) == ("", "", "1")

    def test_other_seeds_and_data_sets_are_left_out(self, store) -> None:
        store.put(cell(XQDA, "caviar", 3, seed=1), record([1.0]), {})
        store.put(cell(XQDA, "mlr_viper", 3), record([1.0]), {})
        assert len(table(store, "2").entries["caviar", XQDA, 1].values) == 3
        assert table(store, "2", seed=1).entries["caviar", XQDA, 1].mean == 100

    def test_versions_of_the_data_are_never_mixed(self, tmp_path) -> None:
        store = fill(tmp_path, XQDA, "caviar", [0.2, 0.2])
        store.put(cell(XQDA, "caviar", 0, data="e" * 64), record([1.0]), {})
        made = table(store, "2")
        assert made.entries["caviar", XQDA, 1].values == (20, 20)
        assert f"finished too, not mixed in, at rank 1: {XQDA} 100.0 on caviar (other data), 1 split" in made.notes

    def test_the_profile_with_most_splits_counts_then_the_papers(self, tmp_path) -> None:
        fill(tmp_path, "sing", "caviar", [0.1, 0.1], profile="paper")
        store = fill(tmp_path, "sing", "caviar", [0.2, 0.2], profile="quick")
        assert table(store, "1").entries["caviar", "sing", 1].mean == pytest.approx(10)
        store = fill(tmp_path, "sing", "caviar", [0.2, 0.2, 0.2], profile="quick")
        made = table(store, "1")
        assert made.entries["caviar", "sing", 1].mean == pytest.approx(20)
        note = "finished too, not mixed in, at rank 1: sing 10.0 on caviar (schedule paper), 2 splits"
        assert note in made.notes
        assert table(store, "1", profile="paper").entries["caviar", "sing", 1].mean == pytest.approx(10)
        assert table(store, "2", profile="smoke").entries["caviar", "sing", 1].mean is None

    def test_cells_of_other_weights_are_another_row(self, tmp_path) -> None:
        fill(tmp_path, "bicubic+dgd", "caviar", [0.1, 0.1, 0.1], weights=("a" * 64,))
        fill(tmp_path, "srcnn+dgd", "caviar", [0.2, 0.2], weights=("a" * 64,))
        fill(tmp_path, "srcnn+dgd", "caviar", [0.8], weights=("b" * 64,))
        made = table(fill(tmp_path, "bicubic+dgd", "caviar", [0.9], weights=("b" * 64,)), "2")
        assert made.entries["caviar", "bicubic+dgd", 1].values == pytest.approx((10, 10, 10))
        note = "at rank 1: bicubic+dgd 90.0, srcnn+dgd 80.0 on caviar (other weights), 1 split"
        assert any(note in other for other in made.notes)

    def test_current_cells_count_before_more_stale_ones(self, tmp_path) -> None:
        fill(tmp_path, XQDA, "caviar", [0.9] * 10, depends=older(XQDA))
        made = table(fill(tmp_path, XQDA, "caviar", [0.2]), "2")
        assert made.entries["caviar", XQDA, 1].values == (20,)
        assert any(f"{XQDA} 90.0 on caviar (stale (version of xqda 0, now 1)), 9 splits" in n for n in made.notes)

    def test_stale_rows_are_ranked_only_among_themselves(self, tmp_path) -> None:
        fill(tmp_path, XQDA, "caviar", [0.9] * 3, depends=older(XQDA))
        fill(tmp_path, "bilinear+xqda", "caviar", [0.8] * 3, depends=older("bilinear+xqda"))
        made = table(Store(tmp_path), "2")
        assert marks(made, made.methods["caviar"], "caviar", 1) == {XQDA: 1, "bilinear+xqda": 2}
        fill(tmp_path, "bicubic+nfst", "caviar", [0.2] * 3)
        fill(tmp_path, "bilinear+nfst", "caviar", [0.1] * 3)
        made = table(Store(tmp_path), "2")
        assert marks(made, made.methods["caviar"], "caviar", 1) == {"bicubic+nfst": 1, "bilinear+nfst": 2}
        assert not any(note.startswith("other splits or data") for note in made.notes)

    def test_of_equals_the_newest_counts(self, tmp_path) -> None:
        for data, day, value in (("a", 3, 0.3), ("b", 2, 0.2), ("c", 1, 0.1)):
            date = {"computed": type(COMPUTED)(None, {}, "", f"2026-11-0{day}T00:00:00+00:00", 1)}
            store = fill(tmp_path, XQDA, "caviar", [value], data=data * 64, **date)
        assert table(store, "2").entries["caviar", XQDA, 1].values == pytest.approx((30,))

    def test_an_erratum_is_shown_and_not_compared(self, tmp_path) -> None:
        store = fill(tmp_path, "bilinear+nfst", "mlr_cuhk03", [0.5])
        made = table(store, "2", "mlr_cuhk03")
        assert made.entries["mlr_cuhk03", "bilinear+nfst", 1].difference is None
        line = next(x for x in render(made, "markdown", True).splitlines() if x.startswith("| bilinear+nfst"))
        assert [c.strip() for c in line.split("|")[2:5]] == ["50.0", "(48.0)", "--"]
        assert any("an erratum; no difference is taken" in note for note in made.notes)

    @pytest.mark.parametrize(
        ("published", "erratum", "within"),
        [(40.0, False, True), (44.0, False, False), (44.0, True, True), (None, False, True)],
    )
    def test_within_noise(self, published, erratum, within) -> None:
        """Ten splits at 36 %, 100 people: at 40 the tolerance is 1.96 * 4.90 * sqrt(0.2) = 4.29, at 44 it is 4.35."""
        assert Entry("d", "m", 1, (36.0,) * 10, "paper", published, erratum, 100).within_noise == within


class TestAnchorSubsets:
    SUBSETS = {
        "1/2": 0.10, "1/3": 0.20, "1/4": 0.30,
        "1/2+1/3": 0.40, "1/2+1/4": 0.50, "1/3+1/4": 0.60, "1/2+1/3+1/4": 0.70,
    }  # fmt: skip

    def test_table_4_reads_the_subsets_of_one_cell(self, tmp_path) -> None:
        subsets = {name: Scores((value,) * 20, 0.5) for name, value in self.SUBSETS.items()}
        made = table(fill(tmp_path, "sing", "caviar", [0.70, 0.70], subsets=subsets), "4", "caviar", "mlr_viper")
        for name, value in self.SUBSETS.items():
            entry = made.entries["caviar", f"sing[anchors={name}]", 1]
            assert entry.values == pytest.approx((100 * value,) * 2)
        assert made.entries["caviar", "sing[anchors=1/2]", 1].published == 29.5
        assert made.entries["mlr_viper", "sing[anchors=1/2]", 1].values == ()

    def test_numbers_are_compared_as_such(self, tmp_path) -> None:
        """The paper's ``alpha=0`` is the ``alpha=0.0`` of a cell's name."""
        made = table(fill(tmp_path, "sing[alpha=0.0]", "caviar", [0.3]), "fig6")
        assert made.entries["caviar", "sing[alpha=0]", 1].mean == pytest.approx(30)
        assert "sing[alpha=0.0]" not in made.methods["caviar"], "one row, not two"

    def test_a_cell_run_with_one_subset_counts_for_it_alone(self, tmp_path) -> None:
        store = fill(tmp_path, "sing[anchors=1/2+1/4]", "caviar", [0.9])
        entries = table(store, "4").entries
        assert entries["caviar", "sing[anchors=1/2+1/4]", 1].mean == pytest.approx(90)
        assert entries["caviar", "sing[anchors=1/2+1/3+1/4]", 1].mean is None
        assert table(store, "1").entries["caviar", "sing", 1].mean is None

    def test_other_parameters_are_other_rows(self, tmp_path) -> None:
        store = fill(tmp_path, "sing[no_synthetic_lr]", "caviar", [0.2])
        entries = table(store, "3").entries
        assert entries["caviar", "sing[no_synthetic_lr]", 1].mean == pytest.approx(20)
        assert entries["caviar", "sing", 1].mean is None


class TestOrder:
    @pytest.mark.parametrize("name", ["1", "2", "3", "4", "fig6", "full_resolution"])
    def test_rows_and_columns_are_as_printed(self, tmp_path, name) -> None:
        made = table(Store(tmp_path), name)  # none has a cell: all are shown
        assert list(made.datasets) == printed("dataset", name)
        for dataset in made.datasets:
            assert list(made.methods[dataset]) == printed("method", name)

    def test_other_methods_come_last_in_open_tables_only(self, store) -> None:
        assert table(store, "2").methods["caviar"] == (*printed("method", "2"), "my_own[p=50%,q=#1]")
        assert list(table(store, "1").methods["caviar"]) == printed("method", "1")

    def test_other_data_sets_come_last_in_open_tables_only(self, tmp_path) -> None:
        fill(tmp_path, XQDA, "synthetic", [0.5])
        store = fill(tmp_path, XQDA, "synthetic[identities=24]", [0.5])
        made = table(store, "2")
        assert made.datasets == ("synthetic",), "of those that are not named only what was measured"
        assert f"no finished cell, left out: {', '.join(printed('dataset', '2'))}" in made.notes
        assert made.methods["synthetic"] == (XQDA,), "only what was measured"
        assert table(store, "2", "synthetic*").datasets == ("synthetic", "synthetic[identities=24]")
        assert "synthetic" not in table(store, "full_resolution").datasets

    def test_patterns(self, store) -> None:
        assert table(store, "2", "mlr_*").datasets == ("mlr_cuhk03", "mlr_sysu", "mlr_viper")
        assert table(store, "2", "mlr_viper", "caviar").datasets == ("caviar", "mlr_viper")
        with pytest.raises(UsageError, match="no data set 'caviarr': did you mean 'caviar'"):
            table(store, "2", "caviarr")
        with pytest.raises(UsageError, match="no table '9'"):
            find_table("9")

    def test_main_tables(self) -> None:
        names = ("caviar", "mlr_viper", "viper", "grid", "synthetic", "synthetic[identities=24]", "unheard_of")
        assert [main_table(n) for n in names] == ["2", "2", "full_resolution", "full_resolution", "2", "2", None]


class TestNotes:
    def test_all_that_a_reader_must_know(self, store) -> None:
        notes = "\n".join(table(store, "2", "caviar").notes) + "\n"
        assert "--: no finished cell" in notes
        assert (
            f"other splits or data than the rest of the column, not ranked with it: {XQDA} on caviar: splits 0-2\n"
            in notes
        )
        assert "fewer than 10 splits: bilinear+nfst on caviar: 2\n" in notes
        assert "training schedule other than the paper's: bilinear+nfst on caviar: quick\n" in notes
        assert "caviar: mean over 100 random single-shot galleries" in notes
        assert (
            "2 of 15 cells are stale, not ranked with current ones, bench run --force computes them again:"
            " bilinear+nfst on caviar: version of" in notes
        )

    def test_rows_of_few_splits(self, tmp_path) -> None:
        store = fill(tmp_path, XQDA, "caviar", [0.2, 0.3, 0.4])
        assert f"fewer than 10 splits: {XQDA} on caviar: 3" in table(store, "2").notes

    def test_rows_of_which_the_same_holds_are_named_together(self) -> None:
        assert by_value([("x", "a", 1), ("x", "b", 1), ("y", "a", 1), ("y", "b", 1)]) == "a, b on x, y: 1"
        assert (
            by_value([("x", "a", 5), ("x", "b", 5), ("y", "a", 5), ("y", "b", 6)])
            == "a on x, y: 5; b on x: 5; b on y: 6"
        )

    def test_a_complete_table_needs_few(self, tmp_path) -> None:
        for method in printed("method", "1"):
            store = fill(tmp_path, method, "caviar", [0.3] * 10)
        notes = table(store, "1", "caviar").notes
        assert not any(
            word in note for note in notes for word in ("no finished cell", "fewer", "schedule", "mean over")
        )

    def test_rows_that_miss_for_one_cause_share_a_note(self, tmp_path, monkeypatch) -> None:
        gaps = {("2", "caviar", m, rank): "lower" for m in ("bicubic+dgd", "sing") for rank in (1, 5, 10, 20)}
        monkeypatch.setattr("bench.report.notes.known_gaps", lambda: gaps)
        for method in ("bicubic+dgd", "sing"):
            store = fill(tmp_path, method, "caviar", [0.0] * 10)
        (note,) = [n for n in table(store, "2", "caviar").notes if n.startswith("! ")]
        assert note.startswith("! bicubic+dgd, sing on caviar: rank 1, 5, 10, 20. Lower")

    def test_fusion_that_is_the_identity(self, tmp_path) -> None:
        store = fill(tmp_path, XQDA, "caviar", [0.3], fusion="identity")
        assert any(n.startswith(f"fusion is the identity for {XQDA}:") for n in table(store, "2").notes)


class TestCSV:
    def test_columns_and_values(self, store) -> None:
        text = render(table(store, "2", "caviar", "mlr_cuhk03"), "csv", True)
        assert (
            text.splitlines()[0] == "table,dataset,method,rank,mean,ci_low,ci_high,splits,profile,published,difference"
        )
        assert tuple(text.splitlines()[0].split(",")) == COLUMNS
        rows = rows_of(text)
        low, high = stats.t.interval(0.95, 2, 30, stats.sem([20, 30, 40]))
        assert list(rows["caviar", XQDA, 1].values()) == [
            "2", "caviar", XQDA, "1", "30.0000", f"{low:.4f}", f"{high:.4f}", "3", "paper", "24.3000", "5.7000",
        ]  # fmt: skip
        assert list(rows["caviar", "sing", 20].values()) == [
            "2", "caviar", "sing", "20", "", "", "", "0", "", "98.6000", "",
        ]  # fmt: skip
        assert rows["caviar", "my_own[p=50%,q=#1]", 1]["published"] == ""
        assert rows["mlr_cuhk03", "bilinear+nfst", 1]["published"] == "48.0000"

    def test_one_split_has_no_interval(self, tmp_path) -> None:
        row = rows_of(render(table(fill(tmp_path, XQDA, "caviar", [0.3]), "2"), "csv", True))["caviar", XQDA, 1]
        assert (row["mean"], row["ci_low"], row["ci_high"]) == ("30.0000", "", "")


def blocks(markdown: str) -> list[list[str]]:
    """The tables of a page, each as its lines."""
    found: list[list[str]] = [[]]
    for line in markdown.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


class TestMarkdown:
    @pytest.mark.parametrize("with_published", [False, True])
    @pytest.mark.parametrize("name", ["2", "4"])
    def test_columns_are_aligned(self, store, name, with_published) -> None:
        found = blocks(render(table(store, name), "markdown", with_published))
        assert len(found) == 1
        for block in found:
            assert len({tuple(m.start() for m in re.finditer(r"\|", line)) for line in block}) == 1
            assert set(block[1]) == {"|", "-"}

    def test_marks_and_missing(self, store) -> None:
        own = depends_of(XQDA, "caviar")
        for method, values in (("a", [0.6] * 10), ("b", [0.5904] * 10), ("c", [0.5896] * 10), ("d", [0.1] * 10)):
            fill(store.folder, method, "caviar", values, depends=dict(own))
        lines = {line.split("|")[1].strip(): line for line in blocks(render(table(store, "2"), "markdown", False))[0]}
        first = {name: line.split("|")[2].strip() for name, line in lines.items()}
        assert first["a"] == "**60.0** ± 0.0"
        assert first["b"] == first["c"].replace("58.96", "59.0") == "_59.0_ ± 0.0", "as printed they are equal"
        assert first["d"] == "10.0 ± 0.0"
        assert first["sing"] == "--"

    def test_only_rows_of_equal_splits_and_data_are_ranked(self, tmp_path) -> None:
        """Ten splits of two rows are ranked; fewer, later ones and other images are not, and a note says so."""
        for method, value in (("bilinear+xqda", 0.3), (XQDA, 0.4)):
            fill(tmp_path, method, "caviar", [value] * 10)
        fill(tmp_path, "bilinear+nfst", "caviar", [0.9] * 3)
        store = fill(tmp_path, "bicubic+nfst", "caviar", [0.8] * 10, data="e" * 64)
        for split in range(10, 20):
            store.put(cell("bicubic+l2", "caviar", split), record([0.7]), {})
        made = table(store, "2")
        text = render(made, "markdown", False)
        assert "**40.0** ±" in text
        assert "_30.0_ ±" in text
        assert not re.search(r"[*_](90|80|70)\.0[*_]", text)
        (note,) = [n for n in made.notes if n.startswith("other splits or data")]
        assert "bilinear+nfst on caviar: splits 0-2" in note
        assert "bicubic+l2 on caviar: splits 10-19" in note
        assert "bicubic+nfst on caviar: splits 0-9" in note

    def test_published_values_beside(self, store) -> None:
        block = blocks(render(table(store, "2", "caviar"), "markdown", True))[0]
        assert [c.strip() for c in block[0].split("|")[1:5]] == ["method", "r=1", "published", "diff"]
        cells = {line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:5]] for line in block}
        assert cells[XQDA][1:] == ["24.3", "+5.7"]
        assert cells["sing"] == ["--", "33.5", "--"]
        assert cells["my_own[p=50%,q=#1]"][1:] == ["--", "--"]

    def test_a_single_row_is_not_the_best_of_anything(self, tmp_path) -> None:
        store = fill(tmp_path, XQDA, "synthetic", [0.5])
        assert "**50.0**" not in render(table(store, "2", "synthetic"), "markdown", False)

    def test_table_4_is_one_block_with_a_column_for_each_data_set(self, store) -> None:
        (block,) = blocks(render(table(store, "4", "*"), "markdown", False))
        assert [c.strip() for c in block[0].split("|")[1:-1]] == ["method", *printed("dataset", "4")]
        assert [line.split("|")[1].strip() for line in block[2:]] == printed("method", "4")


class TestLaTeX:
    def test_the_fragment_is_tabulars_and_comments(self, store) -> None:
        text = render(table(store, "2"), "latex", True)
        assert r"\documentclass" not in text
        assert [line for line in text.splitlines() if line.startswith("% ")]
        for rule in ("toprule", "midrule", "bottomrule"):
            assert "\\" + rule in text

    @pytest.mark.parametrize("standalone", [False, True])
    def test_rows_marks_and_special_characters(self, store, standalone) -> None:
        fill(store.folder, "b", "caviar", [0.1] * 10, depends=dict(depends_of(XQDA, "caviar")))
        text = render(table(store, "2"), "latex", True, standalone=standalone)
        assert r"my\_own{[}p=50\%,q=\#1{]} & \textbf{50.0 $\pm$ 0.0} & -- & -- &" in text
        assert r"b & \underline{10.0 $\pm$ 0.0} &" in text
        assert text.count("{") == text.count("}")
        (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
        assert {line.count(" & ") for line in text.splitlines() if " & " in line} == {len(columns) - 1}

    @pytest.mark.parametrize("name", ["2", "4"])
    @pytest.mark.parametrize("standalone", [False, True])
    def test_it_compiles(self, store, tmp_path, name, standalone) -> None:
        """With a real TeX, hostile names included."""
        compiler = shutil.which("pdflatex") or shutil.which("tectonic")
        if compiler is None:
            pytest.skip("neither pdflatex nor tectonic is installed")
        hostile = "x\\input{y}$^_&%#~{<>|`é人\x1b"
        for name_of_method in (hostile, "*swallowed", "[0pt]", "?`!`--<<>>,,''", "\\end{tabular}"):
            fill(store.folder, name_of_method, "caviar", [0.6] * 10)
        text = render(table(store, name, "caviar", "mlr_viper"), "latex", True, standalone=standalone)
        if not standalone:
            (tmp_path / "fragment.tex").write_text(text, encoding="utf-8")
            lines = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\begin{document}", r"\input{fragment}"]
            text = "\n".join([*lines, r"\end{document}", ""])
        (tmp_path / "table.tex").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [compiler, "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
        assert (tmp_path / "table.pdf").stat().st_size > 1000

    def test_only_latex_stands_alone(self, store) -> None:
        with pytest.raises(UsageError, match="only LaTeX can stand alone"):
            render(table(store, "2"), "markdown", False, standalone=True)


def test_write_table_writes_what_render_gives(store, tmp_path) -> None:
    made = table(store, "2")
    paths = write_table(made, tmp_path / "new" / "folder")
    assert [p.name for p in paths] == [f"table2.{suffix}" for suffix in SUFFIXES.values()]
    for path, form in zip(paths, SUFFIXES, strict=True):
        assert path.read_text(encoding="utf-8") == render(made, form, True)


def test_only_the_tables_of_the_paper_are_declared() -> None:
    assert list(table_kinds()) == ["1", "2", "3", "4", "fig6", "full_resolution"]
    assert all(np.all(np.diff(kind.ranks) > 0) for kind in table_kinds().values())


def test_the_alpha_sweep_lists_its_rows_and_the_anchor_of_the_default(tmp_path) -> None:
    subsets = {"1/3": Scores((0.3,) * 20, 0.3)}
    store = Store(tmp_path)
    store.put(cell("sing", "mlr_viper"), record([0.4], subsets=subsets), {})
    fill(tmp_path, "sing[alpha=0.5,anchors=1/3]", "mlr_viper", [0.25])
    fill(tmp_path, "sing[colour=rgb]", "mlr_viper", [0.1])
    shown = table(store, "fig6", "mlr_viper")
    means = {method: shown.entries["mlr_viper", method, 1].mean for method in shown.methods["mlr_viper"]}
    assert means == {
        "sing[alpha=0]": None,
        "sing": pytest.approx(40),
        "sing[alpha=0.5,anchors=1/3]": pytest.approx(25),
        "sing[anchors=1/3]": pytest.approx(30),
    }


class TestChoices:
    def test_methods(self, store) -> None:
        made = table(store, "2", methods=["bilinear+*", "my_own[p=50%,q=#1]"])
        assert made.methods == {"caviar": ("bilinear+xqda", "bilinear+nfst", "bilinear+dgd", "my_own[p=50%,q=#1]")}
        with pytest.raises(UsageError, match="no row of table 2 'sling': did you mean 'sing'"):
            table(store, "2", methods=["sling"])

    def test_a_closed_table_shows_what_is_named(self, store) -> None:
        assert table(store, "1", methods=[XQDA]).methods == {"caviar": (XQDA,)}

    def test_columns_on_request(self, tmp_path) -> None:
        cost = {"total_seconds": 8.0, "fit_seconds": 3.0, "match_seconds": 1.0, "peak_memory_mib": 512.0}
        store = fill(tmp_path, XQDA, "caviar", [0.3, 0.3], cost=cost)
        made = table(store, "2", columns=("map", "seconds", "fit", "match", "memory"))
        values = [made.entries["caviar", XQDA, c].mean for c in made.columns]
        assert values == pytest.approx([50, 8, 3, 1, 512])
        (row,) = [line for line in blocks(render(made, "markdown", True))[0] if XQDA in line]
        assert [c.strip() for c in row.split("|")[-6:-1]] == ["50.0 ± 0.0", "8.0", "3.0", "1.0", "512.0"]
        csv_row = rows_of(render(made, "csv", True))["caviar", XQDA, 5]
        assert (csv_row["map"], csv_row["memory"]) == ("50.0000", "512.0000")
        with pytest.raises(UsageError, match="no column 'energy': there is map, seconds"):
            table(store, "2", columns=("energy",))

    def test_costs_that_were_not_recorded(self, tmp_path) -> None:
        made = table(fill(tmp_path, XQDA, "caviar", [0.3]), "2", columns=("match",))
        assert made.entries["caviar", XQDA, "match"].mean is None

    def test_files_have_short_names(self, tmp_path) -> None:
        name = "mlr_viper[ratio_file=sha256:873978248302,split_file=sha256:a6e759ec75bd]"
        store = fill(tmp_path, XQDA, name, [0.3])
        made = table(store, "2", "mlr_viper[split_file=a6e759,ratio_file=873978]")
        assert made.datasets == (name,)
        text = render(made, "markdown", True)
        assert "**mlr_viper[ratio_file=873978,split_file=a6e759]**" in text
        assert "a6e759 is sha256:a6e759ec75bd" in text
        assert name in render(made, "csv", True), "whoever goes on from there needs the whole name"

    def test_files_of_like_beginning_stay_apart(self, tmp_path) -> None:
        fill(tmp_path, XQDA, "mlr_viper[split_file=sha256:a6e759ec75bd]", [0.3])
        store = fill(tmp_path, XQDA, "mlr_viper[split_file=sha256:a6e759fc75bd]", [0.3])
        text = render(table(store, "2", "*split_file*"), "markdown", False)
        assert "split_file=a6e759e]" in text
        assert "split_file=a6e759f]" in text

    def test_a_file_stands_for_its_content(self, tmp_path) -> None:
        splits = PUBLISHED / "viper_splits.csv"
        name = "mlr_viper[split_file=sha256:a6e759ec75bd]"
        store = fill(tmp_path, XQDA, name, [0.3])
        assert table(store, "2", f"mlr_viper[split_file={splits}]").datasets == (name,)


class TestMarkedRows:
    def test_own_results_are_marked(self, tmp_path) -> None:
        fill(tmp_path / "measured", XQDA, "caviar", [0.3])
        fill(tmp_path / "local", XQDA, "caviar", [0.9, 0.5])
        results, _ = read_stores([tmp_path / "measured", tmp_path / "local"])
        made = make_table(find_table("2"), results)
        assert made.entries["caviar", XQDA, 1].values == pytest.approx((30, 50)), "of split 0 the measured one"
        assert f"from your own results: {XQDA} on caviar: split 1" in made.notes

    def test_a_data_set_of_own_results_alone_is_named_as_one(self, tmp_path) -> None:
        fill(tmp_path / "measured", XQDA, "caviar", [0.3])
        for method in (XQDA, "bicubic+l2"):
            fill(tmp_path / "local", method, "synthetic", [0.9, 0.5])
        results, _ = read_stores([tmp_path / "measured", tmp_path / "local"])
        made = make_table(find_table("2"), results)
        assert "from your own results: all rows on synthetic: splits 0-1" in made.notes

    def test_transductive_methods_are_named(self, store, monkeypatch) -> None:
        monkeypatch.setattr("bench.report.notes.transductive", lambda method: method == XQDA)
        notes = [n for n in table(store, "2").notes if n.startswith("transductive")]
        assert [n.endswith(f": {XQDA} on caviar") for n in notes] == [True]

    @pytest.mark.parametrize("name", ["2", "4"])
    @pytest.mark.parametrize("value", [1.0, 0.25])
    def test_without_the_contract_neither_best_nor_second_best(self, tmp_path, name, value) -> None:
        rows = printed("method", name)[:3]
        fill(tmp_path, rows[0], "caviar", [0.2] * 10)
        fill(tmp_path, rows[1], "caviar", [0.3] * 10)
        store = fill(tmp_path, rows[2], "caviar", [value] * 10, contract=False)
        made = table(store, name)
        text = render(made, "markdown", False)
        assert "**30.0** ±" in text
        assert "_20.0_ ±" in text
        assert f" {100 * value:.1f} ±" in text
        for standalone in (False, True):
            latex = render(made, "latex", False, standalone=standalone)
            assert r"\textbf{30.0 $\pm$ 0.0}" in latex
            assert r"\underline{20.0 $\pm$ 0.0}" in latex
            assert f"& {100 * value:.1f} $" in latex
        assert any("has not passed" in n and n.endswith(f"{rows[2]} on caviar") for n in made.notes)


def test_a_number_of_two_shots_is_no_measure_of_one(tmp_path) -> None:
    """LOMO+XQDA's 63.2 on CUHK01 has two gallery images a person: it stands beside rows of as many."""
    fill(tmp_path, "xqda", "cuhk01", [0.49] * 10)
    store = fill(tmp_path, "xqda", "cuhk01[gallery_shots=2]", [0.63] * 10)
    made = table(store, "full_resolution")
    assert made.entries["cuhk01", "xqda", 1].published is None
    assert made.entries["cuhk01[gallery_shots=2]", "xqda", 1].difference == pytest.approx(-0.21)
    assert any("xqda on cuhk01: 63.21 with 2" in note for note in made.notes)


def test_galleries_of_several_images_a_person_are_named(tmp_path) -> None:
    store = fill(tmp_path, "xqda", "cuhk01[gallery_shots=2]", [0.63], draws=100)
    expected = "cuhk01[gallery_shots=2]: mean over 100 random galleries of 2 images a person"
    assert expected in table(store, "full_resolution").notes
