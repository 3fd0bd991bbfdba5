"""The tables of the paper as pages of ``results/tables``, written by a command and kept in git."""

from collections.abc import Sequence
from pathlib import Path

from bench.engine.store import Result
from bench.report.published import table_kinds
from bench.report.render import render, write_text
from bench.report.tables import make_table

HEADER = "<!-- Written by `python -m bench table --all --output results/tables`; not to be edited. -->\n\n"


def pages(results: Sequence[Result], seed: int = 0) -> dict[str, str]:
    """File name -> content, a page for each table."""
    return {
        f"table_{kind.name}.md": HEADER + render(make_table(kind, results, seed=seed), "markdown", with_published=True)
        for kind in table_kinds().values()
    }


def write(folder: Path, results: Sequence[Result], seed: int = 0) -> list[Path]:
    """Write the pages; the paths, in order of the tables."""
    return [write_text(folder / name, text) for name, text in pages(results, seed).items()]
