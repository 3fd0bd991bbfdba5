"""The paper's tables from stored results, beside the published numbers.

Which tables there are, and the order of their rows and columns, is read from ``results/published``.
"""

import csv
import fnmatch
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from bench.engine.cell import Cell
from bench.engine.store import Result
from bench.errors import BenchError, UsageError
from bench.plugin.grammar import MethodOptions, canonical, parse_anchors, split_text
from bench.plugin.registry import registry
from bench.plugin.spec import dataset_spec, method_spec
from bench.protocol.statistics import PAPER_SPLITS, confidence_interval, tolerance
from bench.report.published import TableKind, known_gaps, published, table_kinds

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
FORMATS = ("markdown", "csv", "latex")
FILES = {"markdown": "md", "csv": "csv", "latex": "tex"}


@dataclass(frozen=True)
class Entry:
    """One method on one data set at one rank, in percent.  values: one per split; empty when nothing was measured."""

    dataset: str
    method: str
    rank: int
    values: tuple[float, ...] = ()
    profile: str = ""
    published: float | None = None
    erratum: bool = False
    test_people: int = 0

    @property
    def mean(self) -> float | None:
        return float(np.mean(self.values)) if self.values else None

    @property
    def interval(self) -> tuple[float, float]:
        return confidence_interval(self.values)

    @property
    def difference(self) -> float | None:
        mean = self.mean
        return None if mean is None or self.published is None or self.erratum else mean - self.published

    @property
    def within_noise(self) -> bool:
        """Whether the published value is met within sampling noise (`statistics.tolerance`), or there is none."""
        if self.difference is None or self.published is None:
            return True
        return abs(self.difference) <= tolerance(self.values, self.published, self.test_people)


@dataclass(frozen=True)
class Table:
    """A table ready to be printed: data sets and methods in order, one entry each per rank, and footnotes."""

    kind: TableKind
    datasets: tuple[str, ...]
    methods: dict[str, tuple[str, ...]]
    entries: dict[tuple[str, str, int], Entry]
    notes: tuple[str, ...] = field(default=())


def base_and_subset(method: str) -> tuple[str, str]:
    """A row's cell and anchor subset: ``sing[alpha=0,anchors=1/2]`` -> (``sing[alpha=0.0]``, ``1/2``).

    Numbers are compared as such: printed tables have ``alpha=0``, cells ``alpha=0.0``.
    """
    name, pairs = split_text(method)
    subset = "+".join(map(str, parse_anchors(pairs.pop("anchors", MethodOptions.anchors))))
    return canonical(name, [{key: as_value(text) for key, text in pairs.items()}]), subset


def as_value(text: str) -> bool | float | str:
    if text == "true":
        return True
    try:
        return float(text)
    except ValueError:
        return text


def subset_cmc(result: Result, subset: str) -> list[float] | None:
    """The CMC of one anchor subset from a stored cell; None where it was not stored."""
    own = base_and_subset(result.cell.method)[1]
    if subset == own:
        return result.record["cmc"]
    stored = result.record.get("subsets", {}).get(subset)
    return list(stored["cmc"]) if stored else None


# Of each split, in order, the cell and its CMC.
Group = dict[int, tuple[Result, list[float]]]


def row_groups(results: Iterable[Result], dataset: str, method: str, seed: int) -> list[Group]:
    """The cells of a row, apart by profile and version of the data, which are never mixed.

    First the group that counts: the one with most splits, then the one of profile ``paper``.
    """
    base, subset = base_and_subset(method)
    groups: dict[tuple[str, str], Group] = {}
    for result in results:
        if result.cell.dataset != dataset or result.cell.seed != seed:
            continue
        own_base, own_subset = base_and_subset(result.cell.method)
        if own_base != base or own_subset not in (subset, MethodOptions.anchors):
            continue
        curve = subset_cmc(result, subset)
        if curve is not None:
            splits = groups.setdefault((result.cell.profile, result.cell.data), {})
            # A cell with exactly these anchors and one with all of them may both be there: the whole one counts.
            if result.cell.split not in splits or own_subset == MethodOptions.anchors:
                splits[result.cell.split] = result, curve
    order = sorted(groups, key=lambda group: (len(groups[group]), group[0] == "paper", group), reverse=True)
    return [dict(sorted(groups[key].items())) for key in order]


def percent_at(curve: Sequence[float], rank: int) -> float:
    """A CMC's value at a rank, in percent; beyond a small gallery its last."""
    return 100 * curve[min(rank, len(curve)) - 1]


def any_cell(group: Group) -> Cell:
    """One cell of a group: its profile and version of the data are those of all."""
    return next(iter(group.values()))[0].cell


def describe_group(group: Group, method: str, rank: int) -> str:
    """``sing on caviar: paper, 2 splits, 33.5 at rank 1``: a group that a table leaves out."""
    cell = any_cell(group)
    mean = np.mean([percent_at(curve, rank) for _, curve in group.values()])
    splits = f"{len(group)} split{'s' if len(group) > 1 else ''}"
    return f"{method} on {cell.dataset}: {cell.profile}, {splits}, {mean:.1f} at rank {rank}"


def make_table(kind: TableKind, results: Sequence[Result], patterns: Sequence[str] = (), seed: int = 0) -> Table:
    """Assemble a table.

    patterns: data sets to show (globs); by default those the paper prints and, in an open table, measured others of
    their kind, without variants that have options of their own.
    """
    printed = {(p.dataset, p.method, p.rank): p for p in published() if p.table == kind.name}
    printed_datasets = list(dict.fromkeys(d for d, _, _ in printed))
    printed_methods = list(dict.fromkeys(m for _, m, _ in printed))
    measured = list(dict.fromkeys(r.cell.dataset for r in results if r.cell.seed == seed))
    candidates = [*printed_datasets, *(sorted(set(measured) - set(printed_datasets)) if kind.open else [])]
    if patterns:
        datasets = matching(candidates, patterns, kind)
    else:
        datasets = [d for d in candidates if d in printed_datasets or ("[" not in d and main_table(d) == kind.name)]
    rows = {base_and_subset(m) for m in printed_methods}
    methods, entries, used, left_out = {}, {}, [], []
    for dataset in datasets:
        own = sorted({r.cell.method for r in results if r.cell.dataset == dataset and r.cell.seed == seed})
        shown = sorted({*own, *(row for row in kind.named if row_groups(results, dataset, row, seed))})
        extra = [m for m in shown if base_and_subset(m) not in rows and kind.adds(m)]
        listed = printed_methods if dataset in printed_datasets else [m for m in printed_methods if m in own]
        methods[dataset] = (*listed, *extra)
        for method in methods[dataset]:
            groups = row_groups(results, dataset, method, seed)
            counted = list(groups[0].values()) if groups else []
            cells = [cell for cell, _ in counted]
            used += cells
            left_out += [describe_group(group, method, kind.ranks[0]) for group in groups[1:]]
            for rank in kind.ranks:
                reference = printed.get((dataset, method, rank))
                values = tuple(percent_at(curve, rank) for _, curve in counted)
                entries[dataset, method, rank] = Entry(
                    dataset,
                    method,
                    rank,
                    values,
                    cells[0].cell.profile if cells else "",
                    reference.value if reference else None,
                    bool(reference and reference.erratum),
                    cells[0].record["sizes"]["test_people"] if cells else 0,
                )
    return Table(kind, tuple(datasets), methods, entries, tuple(footnotes(kind, entries, used, left_out)))


def matching(names: Sequence[str], patterns: Sequence[str], kind: TableKind) -> list[str]:
    """The data sets that patterns (names or globs) stand for; UsageError for a pattern that stands for none."""
    hits = {pattern: [n for n in names if n == pattern or fnmatch.fnmatchcase(n, pattern)] for pattern in patterns}
    for pattern, found in hits.items():
        if not found:
            raise UsageError(
                f"table {kind.name} has nothing for {pattern!r}: there is {', '.join(names)}; other data sets appear"
                " once they have finished cells"
            )
    return [n for n in names if any(n in found for found in hits.values())]


def main_table(dataset: str) -> str | None:
    """The main table of a data set: the one that prints it or, for others, the one whose data sets are like it."""
    mains = [kind for kind in table_kinds().values() if kind.main]
    for kind in mains:
        if any(p.dataset == dataset for p in published() if p.table == kind.name):
            return kind.name
    low = is_low_resolution(dataset)
    for kind in mains:
        resolutions = {is_low_resolution(p.dataset) for p in published() if p.table == kind.name}
        if low is not None and low in resolutions:
            return kind.name
    return None


@cache
def is_low_resolution(dataset: str) -> bool | None:
    """Whether a data set's probes are of low resolution; None for one that has no plug-in."""
    name = split_text(dataset)[0]
    attributes = [p.attributes for p in registry().plugins if p.kind == "dataset" and p.name == name]
    return attributes[0].get("low_resolution") is not None if attributes else None


def footnotes(
    kind: TableKind, entries: dict[tuple[str, str, int], Entry], used: Sequence[Result], left_out: Sequence[str]
) -> list[str]:
    """What a reader must know beside the numbers.  left_out: finished groups of cells that do not count."""
    notes = []
    if any(not e.values for e in entries.values()):
        notes.append("--: no finished cell")
    if any(e.erratum for e in entries.values()):
        notes.append("(x): printed so in the paper, an erratum; no difference is taken")
    misses = [e for e in entries.values() if not e.within_noise]
    if misses:
        notes.append("!: outside sampling noise of the published value")
    causes: dict[str, dict[tuple[str, str], list[int]]] = {}
    for e in misses:
        cause = known_gaps().get((kind.name, e.dataset, e.method, e.rank), "cause unknown")
        causes.setdefault(cause, {}).setdefault((e.dataset, e.method), []).append(e.rank)
    for cause, rows in sorted(causes.items()):
        ranks = [(d, m, f"rank {', '.join(map(str, r))}") for (d, m), r in rows.items()]
        notes.append(f"! {by_value(ranks)}. {cause[0].upper()}{cause[1:]}")
    counts = {(e.dataset, e.method): len(e.values) for e in entries.values() if e.values}
    few = [(d, m, n) for (d, m), n in counts.items() if n < PAPER_SPLITS]
    if few:
        notes.append(f"fewer than {PAPER_SPLITS} splits: {by_value(few)}")
    profiles = sorted({(r.cell.dataset, r.cell.method, r.cell.profile) for r in used if r.cell.profile != "paper"})
    if profiles:
        notes.append(f"training schedule other than the paper's: {by_value(profiles)}")
    if left_out:
        notes.append(f"finished too, of another schedule or version of the data, not mixed in: {'; '.join(left_out)}")
    identity = sorted({r.cell.method for r in used if r.record.get("fusion") == "identity"})
    if identity:
        notes.append(
            f"fusion is the identity for {', '.join(identity)}: neither front-end nor method depends on the anchor"
            " ratio, so the three anchor models coincide"
        )
    draws = sorted({(r.cell.dataset, r.record["sizes"]["gallery_draws"]) for r in used})
    notes += [f"{d}: mean over {n} random single-shot galleries" for d, n in draws if n > 1]
    notes += plugin_notes(used)
    stale = sum(is_stale(r) for r in used)
    if stale:
        notes.append(f"{stale} of {len(used)} cells are stale: the code has changed since (--force computes them anew)")
    return notes


def by_value(triples: Iterable[tuple[str, str, object]]) -> str:
    """``a, b on x, y: 5; c on y: 1``: what holds for which rows, from (data set, method, value) triples."""
    datasets: dict[tuple[object, str], list[str]] = {}
    for dataset, method, value in triples:
        datasets.setdefault((value, method), []).append(dataset)
    methods: dict[tuple[object, tuple[str, ...]], list[str]] = {}
    for (value, method), where in datasets.items():
        methods.setdefault((value, tuple(where)), []).append(method)
    return "; ".join(f"{', '.join(who)} on {', '.join(where)}: {value}" for (value, where), who in methods.items())


def plugin_notes(used: Sequence[Result]) -> list[str]:
    """What data sets and methods say of themselves in their ``note``."""
    names = {"dataset": {split_text(r.cell.dataset)[0] for r in used}}
    names["method"] = {split_text(r.cell.method)[0].rpartition("+")[2] for r in used}
    return [
        f"{p.name}: {p.attributes['note']}"
        for p in registry().plugins
        if p.name in names.get(p.kind, ()) and p.attributes.get("note")
    ]


def is_stale(result: Result) -> bool:
    """Whether the code that produced a cell has changed since; False when its plug-ins are gone."""
    return current_code(result.cell.method, result.cell.dataset) not in (None, result.record.get("code"))


@cache
def current_code(method: str, dataset: str) -> str | None:
    from bench.engine.run import code_of

    try:
        return code_of(method_spec(method), dataset_spec(split_text(dataset)[0]))
    except BenchError:
        return None


def render(table: Table, form: str, with_published: bool) -> str:
    """The table as text: ``markdown``, ``csv`` (tidy rows) or ``latex`` (a document that compiles as it is)."""
    return {"markdown": as_markdown, "csv": as_csv, "latex": as_latex}[form](table, with_published)


def tidy_rows(table: Table) -> list[dict[str, object]]:
    """One dict a (data set, method, rank), in table order, with the columns `COLUMNS`; numbers in percent or None."""
    rows: list[dict[str, object]] = []
    for dataset in table.datasets:
        for method in table.methods[dataset]:
            for rank in table.kind.ranks:
                entry = table.entries[dataset, method, rank]
                low, high = entry.interval if entry.values else (None, None)
                numbers = (entry.mean, low, high, len(entry.values), entry.profile, entry.published, entry.difference)
                rows.append(dict(zip(COLUMNS, (table.kind.name, dataset, method, rank, *numbers), strict=True)))
    return rows


def as_csv(table: Table, with_published: bool = True) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in tidy_rows(table):
        writer.writerow({k: csv_value(v) for k, v in row.items()})
    return out.getvalue()


def csv_value(value: object) -> object:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.4f}" if isinstance(value, float) else value


def grid(table: Table) -> list[tuple[str, list[tuple[str, str, int]], list[str]]]:
    """Blocks to print: (heading, columns as (label, data set, rank), methods).

    A table of several ranks is one block per data set; one of rank 1 alone is one block with a column per data set.
    """
    if len(table.kind.ranks) > 1:
        return [(d, [(f"r={k}", d, k) for k in table.kind.ranks], list(table.methods[d])) for d in table.datasets]
    methods = list(dict.fromkeys(m for d in table.datasets for m in table.methods[d]))
    return [("rank 1", [(d, d, 1) for d in table.datasets], methods)]


def marks(table: Table, methods: Sequence[str], dataset: str, rank: int) -> dict[str, int]:
    """Method -> 1 for the best and 2 for the second best mean of a column, as printed (one decimal)."""
    means = {
        m: round(e.mean, 1) for m in methods if (e := table.entries.get((dataset, m, rank))) and e.mean is not None
    }
    order = sorted(set(means.values()), reverse=True)
    return {m: order.index(v) + 1 for m, v in means.items() if order.index(v) < 2} if len(means) > 1 else {}


def cell_text(entry: Entry | None, mark: int, styles: tuple[str, str, str], plus_minus: str) -> str:
    """``37.3 ± 1.2``, the mean in the style of its mark."""
    if entry is None or entry.mean is None:
        return "--"
    mean = (styles[mark] if mark else "{}").format(f"{entry.mean:.1f}")
    low, high = entry.interval
    return mean if np.isnan(low) else f"{mean} {plus_minus} {(high - low) / 2:.1f}"


def reference_texts(entry: Entry | None) -> tuple[str, str]:
    """Published value and difference."""
    if entry is None or entry.published is None:
        return "--", "--"
    value = f"({entry.published:.1f})" if entry.erratum else f"{entry.published:.1f}"
    if entry.difference is None:
        return value, "--"
    return value, f"{entry.difference:+.1f}{'' if entry.within_noise else ' !'}"


def body(
    table: Table,
    columns: Sequence[tuple[str, str, int]],
    methods: Sequence[str],
    with_published: bool,
    styles: tuple[str, str, str],
    plus_minus: str,
) -> list[list[str]]:
    """The rows of a block as strings, a method each."""
    marked = {(d, k): marks(table, methods, d, k) for _, d, k in columns}
    rows = []
    for method in methods:
        row = [method]
        for _, dataset, rank in columns:
            entry = table.entries.get((dataset, method, rank))
            row.append(cell_text(entry, marked[dataset, rank].get(method, 0), styles, plus_minus))
            row += reference_texts(entry) if with_published else ()
        rows.append(row)
    return rows


def header(columns: Sequence[tuple[str, str, int]], with_published: bool) -> list[str]:
    labels = ["method"]
    for label, _, _ in columns:
        labels += [label, "published", "diff"] if with_published else [label]
    return labels


def as_markdown(table: Table, with_published: bool) -> str:
    lines = [f"### Table {table.kind.name}: {table.kind.title}", ""]
    for heading, columns, methods in grid(table):
        rows = [header(columns, with_published)]
        rows += body(table, columns, methods, with_published, ("", "**{}**", "_{}_"), "±")
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        text = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
        rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
        lines += [f"**{heading}**", "", text[0], rule, *text[1:], ""]
    lines += [f"- {note}" for note in (LEGEND.format("**best**", "_second best_"), *table.notes)]
    return "\n".join(lines) + "\n"


LATEX_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "_": r"\_",
        "%": r"\%",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "[": "{[}",
        "]": "{]}",
    }
)


def as_latex(table: Table, with_published: bool) -> str:
    lines = [
        r"\documentclass{standalone}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{booktabs}",
        r"\begin{document}",
        r"\begin{tabular}{l}",
        rf"Table {table.kind.name}: {table.kind.title}".translate(LATEX_SPECIAL) + r" \\[1ex]",
    ]
    for heading, columns, methods in grid(table):
        labels = header(columns, with_published)
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(labels) - 1)}}}", r"\toprule"]
        lines += [rf"\multicolumn{{{len(labels)}}}{{l}}{{{heading.translate(LATEX_SPECIAL)}}} \\", r"\midrule"]
        lines += [" & ".join(label.translate(LATEX_SPECIAL) for label in labels) + r" \\", r"\midrule"]
        styles = ("", r"\textbf{{{}}}", r"\underline{{{}}}")
        for row in body(table, columns, methods, with_published, styles, r"$\pm$"):
            lines.append(" & ".join([row[0].translate(LATEX_SPECIAL), *row[1:]]) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular} \\[1ex]"]
    legend = LEGEND.translate(LATEX_SPECIAL).replace(r"\{\}", "{}").format(r"\textbf{best}", r"\underline{second best}")
    lines += [note + r" \\" for note in (legend, *(note.translate(LATEX_SPECIAL) for note in table.notes))]
    return "\n".join([*lines, r"\end{tabular}", r"\end{document}", ""])


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write tableN.md, .csv and .tex, the published numbers beside the measured ones."""
    paths = []
    for form, suffix in FILES.items():
        path = folder / f"table{table.kind.name}.{suffix}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(render(table, form, with_published=True), encoding="utf-8")
        except OSError as error:
            raise BenchError(f"cannot write {path}: {error.strerror or error}") from error
        paths.append(path)
    return paths
