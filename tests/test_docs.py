"""The documentation site: built without a warning, with the tree's pages, and asking nothing of other machines."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("material", "mkdocstrings"):
        pytest.importorskip(needed, reason='the site needs pip install -e ".[docs]"')
    folder = tmp_path_factory.mktemp("site")
    words = ["mkdocs", "build", "--strict", "--quiet", "-f", ".docs/mkdocs.yml", "--site-dir", folder]
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_holds_the_pages_of_the_tree_and_the_guides(site: Path) -> None:
    for page in ("index", "methods/index", "results/tables/table_2", "guides/cluster", "api/plugins", "CHANGELOG"):
        assert (site / f"{page}.html").is_file()
    reference = (site / "api/plugins.html").read_text(encoding="utf-8")
    assert 'id="bench.plugin.base.Method.distances"' in reference


@pytest.mark.slow
def test_nothing_of_the_site_comes_from_another_machine(site: Path) -> None:
    loaded = re.compile(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*\bhref="([^"]+)"')
    pages = list(site.glob("**/*.html"))
    found = {one or two for page in pages for one, two in loaded.findall(page.read_text(encoding="utf-8"))}
    assert len(pages) > 25
    assert [where for where in found if "//" in where] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.glob("**/*.css"))
    assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", styles) == []


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", text, re.MULTILINE) == [bench.__version__]
    assert re.findall(r"family-names: (\w+)", text) == ["Jiao", "Zheng", "Wu", "Zhu", "Gong"]
