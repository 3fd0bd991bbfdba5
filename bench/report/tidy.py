"""Tables for programs: CSV and JSON of one row for each data set, method and rank, with full names."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.report.blocks import marks
from bench.report.content import Table
from bench.report.escape import for_csv

COLUMNS = (
    "table",
    "dataset",
    "method",
    "rank",
    "mean",
    "ci_low",
    "ci_high",
    "splits",
    "profile",
    "published",
    "difference",
)
FORMAT = 1
"""Of the JSON: raised when a field goes or changes its meaning; new fields may come."""
MARKS = (None, "best", "second")


def as_csv(table: Table) -> str:
    """A row for each data set, method and rank, with the columns `COLUMNS` and the table's extras."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *table.columns])
    for row in rows(table):
        writer.writerow([in_csv(row[column]) for column in (*COLUMNS, *table.columns)])
    return out.getvalue()


def as_json(table: Table) -> str:
    """An object of the fields format, table, title, ranks, columns, rows and notes.

    rows: an object for each data set, method and rank, in the table's order, of the fields `COLUMNS` and those named in
    columns; numbers are numbers, null is what there is none of.  Further fields of a row: label and dataset_label
    (the names that are printed), mark (``"best"``, ``"second"`` or null), erratum (whether the published value cannot
    be right as printed), within_noise (of the published value; null where there is no difference), and split_numbers.
    """
    content = {
        "format": FORMAT,
        "table": table.kind.name,
        "title": table.kind.title,
        "ranks": list(table.kind.ranks),
        "columns": list(table.columns),
        "rows": list(rows(table)),
        "notes": list(table.notes),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def rows(table: Table) -> Iterator[dict[str, Any]]:
    """The fields of each row, numbers as numbers and None for none."""
    for dataset in table.datasets:
        methods = table.methods[dataset]
        marked = {rank: marks(table, methods, dataset, rank) for rank in table.kind.ranks}
        for method in methods:
            extras = {extra: number(table.entries[dataset, method, extra].mean) for extra in table.columns}
            for rank in table.kind.ranks:
                entry = table.entries[dataset, method, rank]
                low, high = entry.interval
                group = entry.group
                yield {
                    "table": table.kind.name,
                    "dataset": dataset,
                    "method": method,
                    "rank": rank,
                    "mean": number(entry.mean),
                    "ci_low": number(low),
                    "ci_high": number(high),
                    "splits": len(group.splits) if group else 0,
                    "profile": group.cell.profile if group else "",
                    "published": number(entry.published),
                    "difference": number(entry.difference),
                    **extras,
                    "label": table.aliases(method),
                    "dataset_label": table.aliases(dataset),
                    "mark": MARKS[marked[rank].get(method, 0)],
                    "erratum": entry.erratum,
                    "within_noise": None if entry.difference is None else entry.within_noise,
                    "split_numbers": list(group.splits) if group else [],
                }


def number(value: float | None) -> float | None:
    """Rounded to four decimals; None for NaN."""
    return None if value is None or np.isnan(value) else round(float(value), 4)


def in_csv(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return for_csv(value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)
