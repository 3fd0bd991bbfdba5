"""Tables as text: Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.errors import BenchError, UsageError
from bench.report.content import COSTS, EXTRAS, Entry, Table
from bench.report.escape import for_csv, for_latex, for_markdown

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
LEGEND = "percent: mean over splits ± 95 % confidence interval (Student's t over splits); {}, {}"
COST_LEGEND = "seconds and MiB: median over splits"
SUFFIXES = {"markdown": "md", "csv": "csv", "latex": "tex"}


@dataclass(frozen=True)
class Value:
    """What is printed in one place of a table.  mark: 1 for the best of a column, 2 for the second best, else 0."""

    text: str
    interval: str = ""
    mark: int = 0


@dataclass(frozen=True)
class Block:
    """Rows and columns that are printed as one, under a heading."""

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def render(table: Table, form: str, with_published: bool, standalone: bool = False) -> str:
    """The table as text.

    form: ``markdown``, ``csv`` (tidy rows) or ``latex``, a fragment for ``\\input`` that needs the package booktabs or,
    where `standalone`, a document that compiles as it is.
    """
    if standalone and form != "latex":
        raise UsageError(f"only LaTeX can stand alone, not {form}")
    if form == "markdown":
        return as_markdown(table, with_published)
    if form == "csv":
        return as_csv(table)
    if form == "latex":
        return as_document(table, with_published) if standalone else as_latex(table, with_published)
    raise UsageError(f"no format {form!r}: there is {', '.join(SUFFIXES)}")


def blocks(table: Table, with_published: bool) -> list[Block]:
    """A table of several ranks is a block for each data set; one of rank 1 alone has a column for each data set."""
    if len(table.kind.ranks) > 1:
        return [
            make_block(
                table,
                table.aliases(dataset),
                [(f"r={rank}", dataset, rank) for rank in table.kind.ranks]
                + [(EXTRAS[extra], dataset, extra) for extra in table.columns],
                table.methods[dataset],
                with_published,
            )
            for dataset in table.datasets
        ]
    columns: list[tuple[str, str, int | str]] = []
    for dataset in table.datasets:
        name = table.aliases(dataset)
        columns += [(name, dataset, 1), *((f"{name}, {EXTRAS[extra]}", dataset, extra) for extra in table.columns)]
    methods = list(dict.fromkeys(m for d in table.datasets for m in table.methods[d]))
    return [make_block(table, "rank 1", columns, methods, with_published)]


def make_block(
    table: Table,
    heading: str,
    columns: Sequence[tuple[str, str, int | str]],
    methods: Sequence[str],
    with_published: bool,
) -> Block:
    """columns: (label, data set, rank or extra)."""
    header = ["method"]
    marked: dict[tuple[str, int | str], dict[str, int]] = {}
    for label, dataset, column in columns:
        header += [label, "published", "diff"] if with_published and isinstance(column, int) else [label]
        marked[dataset, column] = marks(table, methods, dataset, column)
    rows = []
    for method in methods:
        row = [Value(table.aliases(method))]
        for _, dataset, column in columns:
            entry = table.entries.get((dataset, method, column))
            row.append(measured(entry, marked[dataset, column].get(method, 0)))
            if with_published and isinstance(column, int):
                row += reference(entry)
        rows.append(tuple(row))
    return Block(heading, tuple(header), tuple(rows))


def marks(table: Table, methods: Sequence[str], dataset: str, column: int | str) -> dict[str, int]:
    """Method -> 1 for the best and 2 for the second best mean of a column, as printed (one decimal)."""
    if column in COSTS:
        return {}
    entries, _ = table.ranked(dataset, methods, column)
    means = {e.method: round(e.mean, 1) for e in entries if e.mean is not None}
    order = sorted(set(means.values()), reverse=True)
    return {m: order.index(v) + 1 for m, v in means.items() if order.index(v) < 2} if len(means) > 1 else {}


def measured(entry: Entry | None, mark: int) -> Value:
    """``37.3 ± 1.2``."""
    if entry is None or entry.mean is None:
        return Value("--")
    low, high = entry.interval
    return Value(f"{entry.mean:.1f}", "" if np.isnan(low) else f" ± {(high - low) / 2:.1f}", mark)


def reference(entry: Entry | None) -> tuple[Value, Value]:
    """Published value and difference."""
    if entry is None or entry.published is None:
        return Value("--"), Value("--")
    value = Value(f"({entry.published:.1f})" if entry.erratum else f"{entry.published:.1f}")
    if entry.difference is None:
        return value, Value("--")
    return value, Value(f"{entry.difference:+.1f}{'' if entry.within_noise else ' !'}")


def legends(table: Table, best: str, second: str) -> list[str]:
    return [LEGEND.format(best, second), *([COST_LEGEND] if set(table.columns) & set(COSTS) else [])]


def as_markdown(table: Table, with_published: bool) -> str:
    def text(value: Value) -> str:
        return ("{}", "**{}**", "_{}_")[value.mark].format(for_markdown(value.text)) + value.interval

    lines = [f"### Table {table.kind.name}: {table.kind.title}", ""]
    for block in blocks(table, with_published):
        rows = [[for_markdown(label) for label in block.header], *([text(v) for v in row] for row in block.rows)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        padded = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
        rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
        lines += [f"**{for_markdown(block.heading)}**", "", padded[0], rule, *padded[1:], ""]
    lines += [f"- {line}" for line in legends(table, "**best**", "_second best_")]
    lines += [f"- {for_markdown(shortened(table, note))}" for note in table.notes]
    return "\n".join(lines) + "\n"


def shortened(table: Table, note: str) -> str:
    """A note with short names, but for the one that says what they stand for."""
    return note if note == table.aliases.legend else table.aliases(note)


def as_csv(table: Table) -> str:
    """A row for each data set, method and rank, with the columns `COLUMNS` and the table's extras; full names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *table.columns])
    for dataset in table.datasets:
        for method in table.methods[dataset]:
            extras = [number(table.entries[dataset, method, extra].mean) for extra in table.columns]
            for rank in table.kind.ranks:
                entry = table.entries[dataset, method, rank]
                low, high = entry.interval
                numbers = [number(value) for value in (entry.mean, low, high)]
                splits, profile = (len(entry.group.splits), entry.group.cell.profile) if entry.group else (0, "")
                row = [for_csv(text) for text in (table.kind.name, dataset, method)] + [str(rank), *numbers]
                row += [str(splits), for_csv(profile), number(entry.published), number(entry.difference)]
                writer.writerow(row + extras)
    return out.getvalue()


def number(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.4f}"


def as_latex(table: Table, with_published: bool) -> str:
    """A ``tabular`` for each block, with the notes as comments."""
    title = f"Table {table.kind.name}: {table.kind.title}"
    comments = [title, *legends(table, "bold: best", "underlined: second best"), *table.notes]
    lines = [f"% {for_latex(comment)}" for comment in comments]
    return "\n".join([*lines, *(tabular(block) for block in blocks(table, with_published))])


def tabular(block: Block) -> str:
    """A block as a LaTeX ``tabular`` with booktabs' rules."""
    import pandas as pd  # half a second, for LaTeX alone

    style = {0: "", 1: "textbf:--rwrap;", 2: "underline:--rwrap;"}
    texts = [[for_latex(value.text + value.interval) for value in row] for row in block.rows]
    styles = np.array([[style[value.mark] for value in row] for row in block.rows]).reshape(len(texts), -1)
    # Headings may repeat ("published"), which a Styler does not take: they go in as a row of their own.
    frame = pd.DataFrame(texts, columns=range(len(block.header)))
    styler = frame.style.hide(axis="index").hide(axis="columns")
    if texts:
        styler = styler.apply(lambda _: styles, axis=None)
    columns = "l" + "r" * (len(block.header) - 1)
    text = styler.to_latex(hrules=True, column_format=columns)
    heading = rf"\multicolumn{{{len(columns)}}}{{l}}{{{for_latex(block.heading)}}} \\"
    header = " & ".join(for_latex(label) for label in block.header) + r" \\"
    return text.replace("\\toprule\n", f"\\toprule\n{heading}\n\\midrule\n{header}\n", 1)


def as_document(table: Table, with_published: bool) -> str:
    """A document of one page that compiles as it is."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{booktabs,graphicx}",
        r"\usepackage[landscape,margin=1cm]{geometry}",
        r"\pagestyle{empty}",
        r"\setlength{\parindent}{0pt}",
        r"\begin{document}",
        for_latex(f"Table {table.kind.name}: {table.kind.title}"),
    ]
    fit = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    for block in blocks(table, with_published):
        lines += ["", r"\bigskip", fit, tabular(block) + "}"]
    notes = [*legends(table, "{bold}: best", "{underlined}: second best"), *table.notes]
    lines += ["", r"\bigskip", r"\footnotesize", *(for_latex(note) + "\n" for note in notes), r"\end{document}", ""]
    return "\n".join(lines)


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write tableN.md, .csv and .tex (a fragment), the published numbers beside the measured ones."""
    contents = {suffix: render(table, form, with_published=True) for form, suffix in SUFFIXES.items()}
    return [write_text(folder / f"table{table.kind.name}.{suffix}", text) for suffix, text in contents.items()]


def write_text(path: Path, text: str) -> Path:
    """Write a page; BenchError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error
    return path
