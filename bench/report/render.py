"""Tables as text: Markdown, CSV, LaTeX, HTML and JSON."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bench.errors import UsageError
from bench.files import writing
from bench.report.content import Table
from bench.report.html import as_html
from bench.report.latex import as_document, as_latex
from bench.report.markdown import as_markdown
from bench.report.tidy import as_csv, as_json

SUFFIXES = {"markdown": "md", "csv": "csv", "latex": "tex", "html": "html", "json": "json"}
FORMS: Mapping[str, Callable[[Table, bool], str]] = {
    "markdown": as_markdown,
    "csv": lambda table, _: as_csv(table),
    "latex": as_latex,
    "html": as_html,
    "json": lambda table, _: as_json(table),
}


def render(table: Table, form: str, with_published: bool, standalone: bool = False) -> str:
    """The table as text.

    form: ``markdown``; ``csv`` or ``json``, tidy rows that hold published values always; ``html``, one ``<table>`` for
    any page; ``latex``, a fragment for ``\\input`` that needs the package booktabs or, where `standalone`, a
    document that compiles as it is.
    """
    if standalone and form != "latex":
        raise UsageError(f"only LaTeX can stand alone, not {form}")
    if form not in FORMS:
        raise UsageError(f"no format {form!r}: there is {', '.join(FORMS)}")
    return as_document(table, with_published) if standalone else FORMS[form](table, with_published)


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write tableN in every format, the published numbers beside the measured ones."""
    contents = {suffix: render(table, form, with_published=True) for form, suffix in SUFFIXES.items()}
    return [write_text(folder / f"table{table.kind.name}.{suffix}", text) for suffix, text in contents.items()]


def write_text(path: Path, text: str) -> Path:
    """Write a page; BenchError where that is not possible."""
    with writing(path) as file:
        file.write(text.encode())
    return path
