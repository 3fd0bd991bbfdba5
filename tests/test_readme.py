"""README is true: its method runs as printed, its commands exist, and links lead to pages that are there."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from bench.cli import build_parser
from methods._dgd import DGD_FILE
from tests.conftest import ROOT, bench_process

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    """The fenced block that follows ``<!-- marker -->``."""
    return re.search(rf"<!-- {re.escape(marker)} -->\n```\w+\n(.*?)```", README, re.DOTALL)[1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with README's method in it and nothing else changed."""
    folder = tmp_path_factory.mktemp("clone")
    for part in ("bench", "methods", "datasets", "results/published"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "methods" / "stripes.py").write_text(block("methods/stripes.py"))
    return folder


def call(folder: Path, *arguments: object) -> str:
    process = bench_process(*arguments, cwd=folder)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out


def test_the_method_of_the_readme_is_listed_checked_run_and_printed(clone: Path) -> None:
    code = [line for line in block("methods/stripes.py").splitlines() if line.strip()]
    assert len(code) <= 25
    assert "bicubic+stripes" in call(clone, "list", "methods")
    assert "the contract holds" in call(clone, "check", "stripes")
    data = "synthetic[identities=24]"
    call(clone, "run", "-m", "*+stripes[bins=8]", "-d", data, "--splits", "0-1", "--jobs", 1)
    rows = [line for line in call(clone, "table", "2", "-d", data).splitlines() if "stripes[bins=8]" in line]
    assert [row.split("|")[1].strip() for row in rows if row.startswith("|")] == [
        "bicubic+stripes[bins=8]",
        "bilinear+stripes[bins=8]",
        "srcnn+stripes[bins=8]",
    ]


def test_commands_of_the_readme_parse() -> None:
    parser = build_parser()
    lines = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("python -m bench ")]
    assert len(lines) > 8
    for line in lines:
        parser.parse_args(shlex.split(line)[3:])


@pytest.mark.parametrize(
    "page", sorted(p for p in ROOT.glob("**/*.md") if ".venv" not in p.parts), ids=lambda p: p.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_weights_in_the_readme_are_those_that_its_commands_write() -> None:
    assert set(re.findall(r"\bdgd_\w+\.safetensors", README)) == {DGD_FILE}
