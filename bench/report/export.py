"""Every stored cell and rank as one table in a file; cells are read and written some at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bench.engine.store import Result
from bench.errors import UsageError, visible
from bench.files import writing
from bench.report.escape import for_csv
from bench.report.frame import FRAME_COLUMNS, frame_of

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "parquet")
CELLS = 200
"""Read and written at a time."""

Writer = Callable[["pd.DataFrame"], None]


def form_of(path: Path, given: str | None) -> str:
    """The format that was asked for, else that of the file's name; UsageError where neither says."""
    form = given or path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UsageError(f"{path}: say --format {' or '.join(FORMATS)}, or let the file's name end so")
    return form


def export(cells: Iterable[Result], path: Path, form: str, ranks: Sequence[int] | None = None) -> tuple[int, int]:
    """Write cells as a table of the columns of `bench.results`; returns how many cells and rows.

    form: ``csv`` or ``parquet``.  ranks: of the CMC; every one that a cell has where none are given.

    Raises UsageError for parquet without pyarrow, BenchError where the file cannot be written; then there is none.
    """
    opened = OPEN[form]
    done, rows, left = 0, 0, iter(cells)
    with writing(path) as file, opened(file) as write:
        while chunk := list(islice(left, CELLS)):
            frame = frame_of(chunk, ranks)
            write(frame)
            done, rows = done + len(chunk), rows + len(frame)
    return done, rows


@contextmanager
def csv_writer(file: BinaryIO) -> Iterator[Writer]:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it; no number is an empty field."""

    def write(frame: "pd.DataFrame") -> None:
        text = shown(frame, for_csv).to_csv(index=False, header=False, float_format="%.10g", lineterminator="\n")
        file.write(text.encode())

    file.write((",".join(FRAME_COLUMNS) + "\n").encode())
    yield write


@contextmanager
def parquet_writer(file: BinaryIO) -> Iterator[Writer]:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise UsageError("parquet needs pyarrow: pip install pyarrow, or take --format csv") from error
    types: dict[type, Any] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in FRAME_COLUMNS.items()])

    def write(frame: "pd.DataFrame") -> None:
        writer.write_table(pa.Table.from_pandas(shown(frame, visible), schema, preserve_index=False))

    with ParquetWriter(file, schema) as writer:
        yield write


OPEN: dict[str, Callable[[BinaryIO], AbstractContextManager[Writer]]] = {"csv": csv_writer, "parquet": parquet_writer}


def shown(frame: "pd.DataFrame", escape: Callable[[str], str]) -> "pd.DataFrame":
    """The frame with each of its texts escaped."""
    texts = [name for name, kind in FRAME_COLUMNS.items() if kind is str]
    return frame.assign(
        **{name: frame[name].map({text: escape(text) for text in frame[name].unique()}) for name in texts}
    )
