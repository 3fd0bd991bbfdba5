"""Figures as files: by the suffix of a name, never half written."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.files import writing

if TYPE_CHECKING:
    from bench.figures.canvas import Figure

FORMS = ("png", "pdf", "svg")


def form_of(path: Path) -> str:
    """The format that a file's name asks for; UsageError for another than `FORMS`."""
    form = path.suffix[1:].lower()
    if form not in FORMS:
        raise UsageError(f"{path}: the file of a figure ends in .{', .'.join(FORMS)}")
    return form


def write(figure: "Figure", path: Path) -> None:
    """Write a figure in the format of the file's name; BenchError where it cannot be written."""
    from bench.figures.canvas import encoded

    content = encoded(figure, form_of(path))
    with writing(path) as file:
        file.write(content)
