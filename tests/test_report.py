"""The report: what it says of stored cells, that it is whole, and that what strangers wrote stays text."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bench.document.boards import LATER, PRINTED, Board, board
from bench.document.curves import chart, path, x_of, y_of
from bench.document.page import Document, digest, gather, render
from bench.engine.record import Scores, Sizes
from bench.engine.store import Store, read_stores
from bench.errors import UsageError
from bench.figures.request import Request
from bench.protocol.statistics import confidence_interval
from bench.report.compare import compare
from tests.cells import cell, failure, fill, record
from tests.conftest import modules_after
from tests.test_escape import HOSTILE
from tests.test_tables import older

DATA, XQDA = "mlr_viper", "bicubic+xqda"
XQDA_SHARES = [0.30, 0.34, 0.36, 0.38, 0.40, 0.31, 0.35, 0.37, 0.39, 0.33]


def told(document: Document) -> list[tuple[str, str, str, str]]:
    return [(one.state, one.dataset, one.method, one.why) for one in document.troubles]


class Page(HTMLParser):
    """Elements by name with their attributes, and the text of all that is no script or style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._raw: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._raw = dict(attrs) if tag in {"script", "style"} else None

    def handle_endtag(self, tag: str) -> None:
        self._raw = None

    def handle_data(self, data: str) -> None:
        if self._raw is not None:
            self.scripts.append((self._raw, data))
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, tag: str, name: str) -> list[str]:
        return [own[name] or "" for element, own in self.elements if element == tag and name in own]


@pytest.fixture
def store(tmp_path) -> Path:
    fill(tmp_path, XQDA, DATA, XQDA_SHARES)
    fill(tmp_path, "judea", DATA, [0.2] * 10)
    fill(tmp_path, "sing", DATA, [0.5] * 3, profile="quick")
    return tmp_path


def request(folder: Path, **more: object) -> Request:
    return Request(read_stores([folder])[0], stores=(folder,), **more)  # type: ignore[arg-type]


def leaderboard(folder: Path, *methods: str, profile: str | None = None) -> Board:
    made = board(read_stores([folder])[0], DATA, DATA, 0, methods, profile)
    assert made
    return made


def written(folder: Path, **more: object) -> str:
    return render(gather(request(folder, **more)))


class TestLeaderboard:
    def test_rows_come_best_first_with_what_was_printed_and_later_papers(self, store) -> None:
        lines = leaderboard(store).lines
        values = [float(line.places["1"].value) for line in lines]  # type: ignore[arg-type]
        assert values == sorted(values, reverse=True)
        by_name = {line.method: line for line in lines}
        assert by_name["sing"].flags == ("3 splits", "other splits or data")
        assert (by_name[XQDA].flags, by_name[XQDA].source) == ((), "measured")
        assert by_name["bilinear+xqda"].source == PRINTED
        later = by_name["ps-hrnet"]
        assert (later.source, later.remark, later.paper) == (
            LATER,
            "later, not re-measured",
            "Zhang et al., IEEE TIP 2021",
        )

    def test_a_row_says_mean_interval_published_and_how_it_came_about(self, store) -> None:
        found = leaderboard(store)
        (row,) = [line.places for line in found.lines if line.method == XQDA]
        percent = [100 * share for share in XQDA_SHARES]
        low, high = confidence_interval(percent)
        assert row["1"].value == pytest.approx(np.mean(percent))
        assert (row["1"].text, row["1"].more) == (f"{np.mean(percent):.1f}", f" ± {(high - low) / 2:.1f}")
        assert (row["published"].text, row["published"].value) == ("37.8", 37.8)
        assert row["diff"].value == pytest.approx(np.mean(percent) - 37.8)
        assert (row["splits"].text, row["schedule"].text, row["memory"].text) == ("10", "closed form", "100")

    def test_rows_are_compared_as_compare_does_and_p_is_of_all_pairs(self, store) -> None:
        fill(store, "sdf", DATA, [0.1] * 10)
        results = read_stores([store])[0]
        found = leaderboard(store)
        assert found.against.labels == (XQDA, "judea", "sdf")
        one = compare(results, "judea", XQDA, DATA, 0).ranks[0]
        assert one.p == 2 / 1024  # all ten splits on one side
        verdict = found.against.verdicts[0][1]
        expected = f"{one.difference:+.1f} ({one.ci_low:+.1f} to {one.ci_high:+.1f}), p {one.p:.3f}"  # none is as clear
        assert verdict
        assert (verdict.text, verdict.state) == (expected, "worse")
        back = found.against.verdicts[1][0]
        assert back
        assert (back.value, back.state) == (-verdict.value, "better")
        (sing,) = [line for line in found.lines if line.method == "sing"]
        assert (sing.number, sing.places["compared"].text) == (None, "")

    def test_a_clear_lead_is_one_among_many_rows(self, tmp_path) -> None:
        """Were p multiplied by the number of rows, none of 10 splits could be below 2/1024 x 29."""
        rows = np.random.default_rng(0).normal(0.2, 0.02, (30, 10))
        for k, own in enumerate(rows):
            fill(tmp_path, f"{XQDA}[k={k}]", DATA, own + 0.4 * (k == 7))
        found = leaderboard(tmp_path)
        assert found.against.labels[0] == f"{XQDA}[k=7]"
        states = [[verdict and verdict.state for verdict in row] for row in found.against.verdicts]
        assert states[0] == [None, *["worse"] * 29]
        assert sum(state in {"better", "worse"} for row in states[1:] for state in row[1:]) == 0

    def test_what_another_table_prints_stands_beside_a_row(self, store) -> None:
        (row,) = [line.places for line in leaderboard(store).lines if line.method == "judea"]
        assert (row["published"].text, row["diff"].text) == ("26.0", "-6.0")
        (row,) = [line.places for line in leaderboard(store).lines if line.method == "bilinear+xqda"]
        assert row["published"].text == row["1"].text == "37.6"

    def test_equal_rows_are_level(self, tmp_path) -> None:
        fill(tmp_path, XQDA, DATA, XQDA_SHARES)
        fill(tmp_path, "judea", DATA, XQDA_SHARES)
        verdict = leaderboard(tmp_path).against.verdicts[0][1]
        assert verdict
        assert (verdict.text, verdict.state) == ("0.0 (0.0 to 0.0), p 1.000", "level")


class TestCurves:
    def test_a_curve_goes_through_the_means(self, store) -> None:
        drawn = chart(leaderboard(store))
        assert drawn is not None
        (own,) = [curve for curve in drawn.curves if curve.label == XQDA]
        mean = float(np.mean([100 * share for share in XQDA_SHARES]))
        assert own.values == (round(mean, 1),) * drawn.ranks
        assert own.line.startswith(path([(x_of(1, drawn.ranks), y_of(mean))]))
        assert own.printed[0] == (x_of(1, drawn.ranks), y_of(37.8))
        assert own.band.endswith("Z")

    def test_the_drawing_spans_its_frame(self) -> None:
        assert (x_of(1, 20), x_of(20, 20)) == (66, 628)
        assert (y_of(0), y_of(100)) == (336, 12)
        assert x_of(1, 1) == 66


class TestWhole:
    def test_nothing_is_asked_of_a_network_and_only_its_own_script_runs(self, store) -> None:
        text = written(store)
        page = Page(text)
        assert not [tag for tag, _ in page.elements if tag in {"link", "iframe", "object", "embed", "base"}]
        assert all(source.startswith("data:") for source in page.attributes("img", "src"))
        assert all(target.startswith("#") for tag in ("a", "use") for target in page.attributes(tag, "href"))
        assert "url(" not in text
        (policy,) = [own["content"] or "" for tag, own in page.elements if own.get("http-equiv")]
        assert policy.startswith("default-src 'none'")
        ran = [content for own, content in page.scripts if own.get("type") != "application/json"]
        assert [digest(content) in policy for content in ran] == [True, True]
        assert not [name for _, own in page.elements for name in own if name.startswith("on") or name == "style"]

    def test_every_link_leads_somewhere(self, store) -> None:
        for name in ("a b", "a-b", "a<b", "a"):
            fill(store, "judea", name, [0.2, 0.3])
        page = Page(written(store))
        ids = [own["id"] for _, own in page.elements if "id" in own]
        assert len(set(ids)) == len(ids)
        assert {target[1:] for target in page.attributes("a", "href")} <= set(ids)

    def test_equal_cells_give_equal_bytes(self, store) -> None:
        assert written(store) == written(store)

    def test_cells_are_told_with_where_they_are_from(self, store) -> None:
        text = Page(written(store)).text
        for result in read_stores([store])[0]:
            assert result.cell.fingerprint in text
        assert f"python -m bench run -m {XQDA} -d {DATA} --splits 0-9" in text
        assert "a machine, 1 thread, numpy 2.4.6, python 3.11.7" in text
        assert "d" * 64 in text

    def test_what_is_not_as_it_should_be_is_listed(self, bench, store, tmp_path) -> None:
        Store(store).put_failure(cell("judea", DATA, 11), failure("it burst <b>"))
        fill(store, "sdf", DATA, [0.1], depends=older("sdf"))
        damaged = store / DATA / "judea" / "split3-seed0-paper-0000000000000000.json"
        damaged.write_text("{")
        done = bench("report", "-o", tmp_path / "out.html", "--results", store)
        assert (done.code, str(damaged) in done.err) == (1, True)
        text = Page((tmp_path / "out.html").read_text()).text
        assert "failed mlr_viper judea split 11: it burst <b>" in text
        assert re.search(r"stale mlr_viper sdf version of sdf 0, now 1 .* --force", text)
        assert "not measured mlr_viper bilinear+xqda printed in the paper, no finished cell here" in text
        assert "not measured mlr_sysu printed in the paper, no finished cell here" in text
        assert f"unreadable {damaged} is not a readable result" in text

    def test_it_holds_the_tables_and_the_figures(self, store) -> None:
        page = Page(written(store))
        assert {"Table 1: Low-resolution re-id methods", "Table 2: Super-resolution and re-id combined"} <= {
            text.strip() for text in page.texts
        }
        assert len(page.attributes("img", "src")) >= 3
        assert all(page.attributes("img", "alt"))
        assert "training is not drawn: no cell of these holds learning curves" in page.text

    def test_a_choice_of_rows_and_data_sets(self, store) -> None:
        fill(store, XQDA, "caviar", [0.1] * 10)
        assert "caviar" not in [one.dataset for one in gather(request(store, methods=["judea"])).boards]
        both = gather(request(store, methods=["judea", "bicubic+*"]))
        assert [one.dataset for one in both.boards] == ["caviar", DATA]
        assert [table.kind.name for table in both.tables] == ["1", "2"]
        assert both.choice == ("methods judea, bicubic+*",)
        page = Page(written(store, methods=["judea"], datasets=[DATA]))
        assert XQDA not in page.text
        assert page.attributes("section", "id")[0] == "board-mlr_viper"
        assert "caviar" not in page.text

    def test_the_cell_that_an_anchor_subset_is_of_is_listed(self, store) -> None:
        subsets = {"1/2": Scores((0.5,) * 20, 0.5)}
        fill(store, "sing", DATA, [0.6], fusion="weighted", subsets=subsets, profile="quick")
        document = gather(request(store, methods=["sing[anchors=1/2]"]))
        assert [account.method for account in document.ledger.accounts] == ["sing"]
        assert document.cells == 1

    def test_failures_are_told_where_nothing_is_finished(self, store) -> None:
        Store(store).put_failure(cell("judea", "caviar", 0), failure("no image"))
        every = read_stores([store], failures=True)[0]
        failed = [result for result in every if result.failed]
        document = gather(request(store), failed)
        assert ("failed", "caviar", "judea", "split 0: no image") in told(document)

    def test_what_was_done_since_is_not_told(self, store) -> None:
        """A failure of a split that was finished since; a stale row that a current one has the place of."""
        early = cell("judea", DATA, 0, depends={})
        Store(store).put_failure(early, failure("gone"))
        fill(store, "judea", DATA, [0.1], depends=older("judea"), data="d" * 64, weights=("a" * 64,))
        failed = [result for result in read_stores([store], failures=True)[0] if result.failed]
        assert [one for one in told(gather(request(store), failed)) if one[2] == "judea"] == []

    def test_commands_find_what_they_are_about(self, store) -> None:
        fill(store, "sdf", DATA, [0.1], depends=older("sdf"))
        document = gather(request(store), options=["--results", "my store"])
        assert all(a.command.endswith("--results 'my store'") for a in document.ledger.accounts)
        quick = gather(request(store, profile="quick"))
        (dgd,) = [one for one in quick.troubles if (one.dataset, one.method) == (DATA, "bicubic+dgd")]
        assert dgd.command.endswith("--profile quick")
        assert "no finished cell of schedule quick here" in dgd.why

    def test_sizes_are_those_of_all_splits(self, store) -> None:
        for split, probes in enumerate((100, 1200)):
            sizes = Sizes(train_people=25, test_people=25, probes=probes, gallery_images=250, gallery_draws=1)
            made = cell("sdf", DATA, split)
            Store(store).put(made, record([0.1], sizes=sizes), {})
        (account,) = [one for one in gather(request(store)).ledger.accounts if one.method == "sdf"]
        assert "100-1,200 probes, 250 in the gallery" in account.sizes

    def test_five_hundred_cells_are_small(self, tmp_path) -> None:
        for bins in range(50):
            fill(tmp_path, f"{XQDA}[bins={bins}]", DATA, np.linspace(0.2, 0.3, 10))
        assert len(written(tmp_path)) < 5 * 2**20


# What brackets hold is read as options: a name whose brackets are none cannot be stored.
@pytest.mark.parametrize(
    "name",
    [
        *(name.replace("[", "(").replace("]", ")") for name in HOSTILE),
        "'><img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
    ],
)
def test_hostile_names_stay_text(tmp_path, name) -> None:
    fill(tmp_path, XQDA, DATA, [0.2, 0.3])
    fill(tmp_path, name, DATA, [0.4, 0.5], warnings=(name,))
    fill(tmp_path / "harmless", XQDA, DATA, [0.2, 0.3])
    fill(tmp_path / "harmless", "harmless", DATA, [0.4, 0.5], warnings=("harmless",))
    page, harmless = Page(written(tmp_path)), Page(written(tmp_path / "harmless"))
    assert Counter(tag for tag, _ in page.elements) == Counter(tag for tag, _ in harmless.elements)
    assert not [attribute for _, own in page.elements for attribute in own if attribute.startswith("on")]
    data = [json.loads(content) for own, content in page.scripts if own.get("type") == "application/json"]
    assert len(data) == 2


def test_data_sets_are_told_apart(tmp_path) -> None:
    for digest_of_file in ("a6e759ec75bd", "a6e759ffffff"):
        fill(tmp_path, "judea", f"{DATA}[split_file=sha256:{digest_of_file}]", [0.2, 0.3])
    for name in ("tables", "figures", "images", "state", "cells"):
        fill(tmp_path, "judea", name, [0.2, 0.3])
    page = Page(written(tmp_path))
    ids = [own["id"] for _, own in page.elements if "id" in own]
    assert len(set(ids)) == len(ids)
    labels = [one.label for one in gather(request(tmp_path)).boards]
    assert len(set(labels)) == 7


def test_torch_is_not_imported(store, tmp_path) -> None:
    modules = modules_after(["report", "--results", store, "-o", tmp_path / "a.html"])
    assert not {"torch", "sklearn", "pandas"} & modules


class TestImages:
    def test_a_data_set_whose_plug_in_is_gone_costs_no_other(self, tmp_path) -> None:
        fill(tmp_path, XQDA, "synthetic", [0.2, 0.3])
        fill(tmp_path, XQDA, "gone", [0.2, 0.3])
        document = gather(request(tmp_path), with_images=True)
        assert {picture.dataset: bool(picture.source) for picture in document.images} == {
            "gone": False,
            "synthetic": True,
        }

    def test_drawn_people_are_shown_without_a_warning(self, tmp_path) -> None:
        fill(tmp_path, XQDA, "synthetic", [0.2, 0.3])
        document = gather(request(tmp_path), with_images=True)
        assert [(picture.kind, bool(picture.source)) for picture in document.images] == [("samples", True)]
        assert document.people == ()
        assert not gather(request(tmp_path)).images

    @pytest.mark.data
    def test_real_people_are_shown_on_request_with_a_warning(self, data_root, store) -> None:
        document = gather(request(store, data=data_root), with_images=True)
        assert document.people == (DATA,)
        assert "This file shows people of mlr_viper" in Page(render(document)).text
        assert not Page(written(store, data=data_root)).attributes("section", "id").count("images")


class TestErrors:
    def test_one_line_each(self, bench, store, tmp_path) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        cases = {
            ("report", "-o", tmp_path / "a.pdf", "--results", store): "the file of a report ends in .html",
            ("report", "-o", tmp_path / "a.html", "--results", empty): "no finished cell; `status` says",
            ("report", "-o", tmp_path / "a.html", "--results", store, "-d", "viperr"): "did you mean 'mlr_viper'?",
            ("report", "-o", tmp_path / "a.html", "--results", store, "-m", "sign"): "did you mean 'sing'?",
            ("report", "-o", tmp_path / "a.html", "--results", store, "--seed", "5"): "no finished cell of seed 5",
        }
        for words, message in cases.items():
            done = bench(*words)
            assert (done.code, message in done.err, done.err.count("\n")) == (2, True, 1), (words, done.err)
        assert not (tmp_path / "a.html").exists()

    def test_no_cell_of_a_schedule(self, store) -> None:
        with pytest.raises(UsageError, match="no finished cell of sing of profile paper"):
            gather(request(store, methods=["sing"], profile="paper"))
