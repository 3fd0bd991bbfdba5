"""The report of everything measured, opened in headless Chromium: what a reader and a screen reader can do with it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.document.page import gather, render
from bench.engine.store import MEASURED, read_stores
from bench.figures.request import Request
from tests.cells import fill

pytestmark = pytest.mark.slow

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SCHEMES, WIDTHS = ("light", "dark"), (400, 1400)
BOARD = "#board-mlr_viper"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium of this machine; nothing is downloaded."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    driver = pytest.importorskip("playwright.sync_api")
    with driver.sync_playwright() as started:
        root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium's sandbox refuses root
        opened = started.chromium.launch(executable_path=found, args=[*QUIET, *(["--no-sandbox"] if root else [])])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the measured cells."""
    results, problems = read_stores([MEASURED])
    path = tmp_path_factory.mktemp("report") / "everything.html"
    path.write_text(render(gather(Request(results, stores=(MEASURED,)), (), problems)))
    return path


class Opened:
    """A page, with all that it complained of or asked for."""

    def __init__(self, browser: Any, path: Path, **more: Any) -> None:
        self.page = browser.new_page(**more)
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    @property
    def left(self) -> list[str]:
        """Requests for anything but the file itself and what is in it."""
        return [url for url in self.requests[1:] if not url.startswith("data:")]

    def column(self, number: int) -> list[str]:
        """The texts of a column of a leaderboard's rows that are shown."""
        rows = f"[...document.querySelectorAll('{BOARD} .leaderboard tbody tr')].filter(row => !row.hidden)"
        return list(self.page.evaluate(f"{rows}.map(row => row.cells[{number}].textContent.trim())"))

    def close(self) -> None:
        self.page.close()


@pytest.fixture
def opened(browser: Any, everything: Path) -> Iterator[Opened]:
    made = Opened(browser, everything, viewport={"width": 1400, "height": 900})
    yield made
    assert made.complaints == []
    assert made.left == []
    made.close()


def test_rows_are_sorted_by_any_column(opened) -> None:
    names = opened.column(0)
    ranks = [float(text.split()[0]) for text in opened.column(1)]
    assert ranks == sorted(ranks, reverse=True)
    head = opened.page.locator(f"{BOARD} .leaderboard thead th").nth(1)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text.split()[0]) for text in opened.column(1)] == sorted(ranks)
    first = opened.page.locator(f"{BOARD} .leaderboard thead th").first
    first.locator("button").press("Enter")
    assert (first.get_attribute("aria-sort"), head.get_attribute("aria-sort")) == ("ascending", None)
    assert opened.column(0) != names
    assert sorted(opened.column(0)) == sorted(names)


def test_rows_are_filtered(opened) -> None:
    every = len(opened.column(0))
    find = opened.page.locator(f"{BOARD} .find")
    find.fill("xqda")
    shown = opened.column(0)
    assert shown
    assert all("xqda" in name for name in shown)
    assert opened.page.locator(f"{BOARD} .count").inner_text() == f"{len(shown)} of {every} rows"
    find.fill("")
    opened.page.locator(f"{BOARD} .sources").select_option("published")
    assert all("later" in name or "printed" in name for name in opened.column(0))
    opened.page.locator(f"{BOARD} .sources").select_option("measured")
    opened.page.locator(f"{BOARD} .variants").uncheck()
    assert not [name for name in opened.column(0) if "[" in name]
    find.fill("nothing is called so")
    assert opened.column(0) == []


def test_any_row_may_be_the_one_that_others_are_compared_with(opened) -> None:
    choice = opened.page.locator(f"{BOARD} .reference")
    second = choice.locator("option").nth(1).inner_text()
    choice.select_option(index=1)
    assert opened.page.locator(f"{BOARD} .to").inner_text() == second
    places = opened.page.locator(f"{BOARD} tr[data-number='0'] .verdict")
    assert places.inner_text().startswith("+")
    assert opened.page.locator(f"{BOARD} tr[data-number='1'] .verdict").inner_text() == ""


def test_curves_are_switched_and_read_at_any_rank(opened) -> None:
    board = opened.page.locator(BOARD)
    box = board.locator(".legend input[type=checkbox]").first
    curve = board.locator(".curve").first
    assert (box.is_checked(), curve.is_visible()) == (True, True)
    box.uncheck()
    assert not curve.is_visible()
    board.locator(".legend .every").click()
    assert all(board.locator(".curve").nth(i).is_visible() for i in range(board.locator(".curve").count()))
    board.locator(".legend .none").click()
    assert not curve.is_visible()
    board.locator(".legend .some").click()
    assert curve.is_visible()
    at_one = float(board.locator(".at").first.inner_text())
    board.locator("input[type=range]").press("End")
    assert board.locator("output").inner_text() == "30"
    assert float(board.locator(".at").first.inner_text()) > at_one


def test_it_is_accessible_and_as_wide_as_the_window(opened) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in SCHEMES:
        for width in WIDTHS:
            opened.page.emulate_media(color_scheme=scheme)
            opened.page.set_viewport_size({"width": width, "height": 900})
            found = axe.run(opened.page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], (scheme, width)
            assert opened.page.evaluate("document.documentElement.scrollWidth") == width


def test_it_can_be_read_without_scripts(browser, everything) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(everything.as_uri())
    assert page.locator(f"{BOARD} .leaderboard tbody tr").first.is_visible()
    assert not page.locator(f"{BOARD} .find").is_visible()
    context.close()


def test_what_strangers_wrote_stays_text(browser, tmp_path) -> None:
    attack = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>"
    fill(tmp_path, attack, "mlr_viper", [0.3, 0.4], warnings=(attack,))
    fill(tmp_path, "judea", attack, [0.3, 0.4])
    path = tmp_path / "hostile.html"
    path.write_text(render(gather(Request(read_stores([tmp_path])[0], stores=(tmp_path,)), (), [attack])))
    made = Opened(browser, path)
    made.page.wait_for_timeout(300)
    assert (made.complaints, made.left) == ([], [])
    assert made.page.locator(f"{BOARD} .leaderboard tbody th", has_text="onerror").count() == 1
    assert made.page.locator("h2", has_text="onload").count() == 1
    made.close()
