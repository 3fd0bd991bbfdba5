"""What a reader of a table must know beside its numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from bench.engine.store import Result
from bench.errors import counted
from bench.plugin.grammar import split_text
from bench.plugin.registry import registry
from bench.protocol.statistics import PAPER_SPLITS
from bench.report.content import Entry, Table
from bench.report.groups import Group, differences, transductive
from bench.report.published import known_gaps, published

Row = tuple[str, str]
"""Data set and method."""


def footnotes(table: Table, left_out: Sequence[tuple[str, Group, Group]], missing: Sequence[str]) -> Iterator[str]:
    """The notes below a table.

    left_out: of rows with more than one group of cells the method, the group that is shown and one that is not.
    missing: data sets that are not shown since none of their rows has a cell.
    """
    entries = [e for (_, _, column), e in table.entries.items() if column == table.kind.ranks[0]]
    rows = {(e.dataset, e.method): e.group for e in entries if e.group}
    cells = {r.path: r for group in rows.values() for r in group.results.values()}
    used = list(cells.values())
    if any(e.group is None or (isinstance(e.column, str) and not e.values) for e in table.entries.values()):
        yield "--: no finished cell"
    yield from beyond_galleries(table)
    if missing:
        yield f"no finished cell, left out: {', '.join(missing)}"
    yield from against_published(table)
    apart = not_ranked(table)
    few = [(*row, len(g.splits)) for row, g in rows.items() if len(g.splits) < PAPER_SPLITS and row not in apart]
    if few:
        yield f"fewer than {PAPER_SPLITS} splits: {by_value(few)}"
    unranked = [(*row, plural("split", rows[row].splits)) for row in apart]
    if unranked:
        yield f"other splits or data than the rest of the column, not ranked with it: {by_value(unranked)}"
    unproven = [(*row, "") for row, group in rows.items() if not group.in_contract]
    if unproven:
        yield f"the method has not passed `check` in the form that was run, not ranked: {by_value(unproven)}"
    using = [(*row, "") for row in rows if transductive(row[1])]
    if using:
        yield f"transductive, matches a probe with the help of other test images: {by_value(using)}"
    profiles = sorted({(r.cell.dataset, r.cell.method, r.cell.profile) for r in used if r.cell.profile != "paper"})
    if profiles:
        yield f"training schedule other than the paper's: {by_value(profiles)}"
    if left_out:
        yield f"finished too, not mixed in, at rank {table.kind.ranks[0]}: {others(left_out, table.kind.ranks[0])}"
    starts = different_starts(rows)
    if starts:
        yield f"rows start from different weights: {by_value(starts)}"
    own = users_own(rows)
    if own:
        yield f"from your own results: {by_value(own)}"
    for warning in dict.fromkeys(f"{r.cell.dataset}: {line}" for r in used for line in r.finished.warnings):
        yield f"warning: {warning}"
    yield from about_protocol(used)
    yield from plugin_notes(used)
    stale = [(*row, "; ".join(group.stale)) for row, group in rows.items() if group.stale]
    if stale:
        count = len({r.path for d, m, _ in stale for r in rows[d, m].results.values()})
        what = "cells are stale, not ranked with current ones, bench run --force computes them again"
        yield f"{count} of {len(used)} {what}: {by_value(stale)}"
    yield from table.aliases.legends


def flags(group: Group) -> list[str]:
    """What makes a row's number less than it seems, in few words each."""
    words = ["stale"] if group.stale else []
    if len(group.splits) < PAPER_SPLITS:
        words.append(counted(len(group.splits), "split"))
    if not group.in_contract:
        words.append("not checked")
    if group.own:
        words.append("your own")
    return words


def beyond_galleries(table: Table) -> Iterator[str]:
    """Which ranks there are none of, since no gallery has so many people."""
    found: dict[str, int] = {}
    for e in table.entries.values():
        if e.group and isinstance(e.column, int) and not e.values:
            found[e.dataset] = min(e.group.ranks, found.get(e.dataset, e.group.ranks))
    if found:
        people = "; ".join(f"{dataset}: {counted(ranks, 'person')}" for dataset, ranks in found.items())
        yield f"--: also a rank beyond the size of the gallery: {people}"


def against_published(table: Table) -> Iterator[str]:
    """Errata, what misses its published value and why, and published numbers of another protocol."""
    entries = table.entries.values()
    if any(e.erratum for e in entries):
        yield "(x): printed so in the paper, an erratum; no difference is taken"
    misses = [e for e in entries if not e.within_noise]
    if misses:
        yield "!: outside sampling noise of the published value"
    causes: dict[str, dict[Row, list[int]]] = {}
    for e in misses:
        cause = known_gaps().get((table.kind.name, e.dataset, e.method, int(e.column)), "cause unknown")
        causes.setdefault(cause, {}).setdefault((e.dataset, e.method), []).append(int(e.column))
    for cause, rows in sorted(causes.items()):
        ranks = [(d, m, f"rank {', '.join(map(str, r))}") for (d, m), r in rows.items()]
        yield f"! {by_value(ranks)}. {cause[0].upper()}{cause[1:]}"
    rank = table.kind.ranks[0]
    several = [
        (dataset, p.method, f"{p.value} with {p.shots}")
        for p in published()
        if p.table == table.kind.name and p.shots > 1 and p.rank == rank
        if (dataset := split_text(p.dataset)[0]) in table.datasets and table.entries.get((dataset, p.method, rank))
    ]
    if several:
        yield f"published with several gallery images a person, no measure of one: {by_value(several)}"


def not_ranked(table: Table) -> list[Row]:
    """Rows that no mark is given to since they are of other splits or data than the rest of their column."""
    found: dict[Row, Entry] = {}
    for dataset in table.datasets:
        _, others = table.ranked(dataset, table.methods[dataset], table.kind.ranks[0])
        found |= {(e.dataset, e.method): e for e in others if e.group and e.group.in_contract and not e.group.stale}
    return list(found)


def different_starts(rows: Mapping[Row, Group]) -> list[tuple[str, str, str]]:
    """Rows that start from weights files of which there are several among the rows, with these files."""
    found: dict[str, set[str]] = {}
    for group in rows.values():
        for name, words in group.starts.items():
            found.setdefault(PurePath(name).stem, set()).add(words)
    several = {words for files in found.values() if len(files) > 1 for words in files}
    own = {row: [words for words in group.starts.values() if words in several] for row, group in rows.items()}
    return [(*row, ", ".join(files)) for row, files in own.items() if files]


def users_own(rows: Mapping[Row, Group]) -> list[tuple[str, str, str]]:
    """Rows that the user has computed, with their splits; as one where that is all that there is of a data set."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for (dataset, method), group in rows.items():
        if group.own:
            found.setdefault(dataset, []).append((dataset, method, plural("split", group.own)))
    for dataset, own in found.items():
        groups = [group for row, group in rows.items() if row[0] == dataset]
        if len(groups) > 1 and all(group.own == group.splits == groups[0].own for group in groups):
            found[dataset] = [(dataset, "all rows", own[0][2])]
    return [row for own in found.values() for row in own]


def others(left_out: Sequence[tuple[str, Group, Group]], rank: int) -> str:
    """``sing 33.5, judea 20.0 on caviar (schedule quick), 2 splits``: cells that a table leaves out, by why it does."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for method, shown, other in left_out:
        alike = other.cell.dataset, differences(shown, other), len(other.splits)
        found.setdefault(alike, []).append(f"{method} {other.mean(rank):.1f}")
    return "; ".join(
        f"{', '.join(rows)} on {dataset} ({why}), {counted(splits, 'split')}"
        for (dataset, why, splits), rows in found.items()
    )


def about_protocol(used: Sequence[Result]) -> Iterator[str]:
    identity = sorted({r.cell.method for r in used if r.finished.fusion == "identity"})
    if identity:
        yield (
            f"fusion is the identity for {', '.join(identity)}: neither front-end nor method depends on the anchor"
            " ratio, so the three anchor models coincide"
        )
    for dataset, draws in sorted({(r.cell.dataset, r.finished.sizes.gallery_draws) for r in used}):
        shots = split_text(dataset)[1].get("gallery_shots", "1")
        several = "single-shot galleries" if shots == "1" else f"galleries of {shots} images a person"
        if draws > 1:
            yield f"{dataset}: mean over {draws} random {several}"


def plugin_notes(used: Sequence[Result]) -> list[str]:
    """What data sets and methods say of themselves in their ``note``."""
    names = {"dataset": {split_text(r.cell.dataset)[0] for r in used}}
    names["method"] = {split_text(r.cell.method)[0].rpartition("+")[2] for r in used}
    return [
        f"{p.name}: {p.attributes['note']}"
        for p in registry().plugins
        if p.name in names.get(p.kind, ()) and p.attributes.get("note")
    ]


def plural(what: str, numbers: Sequence[int]) -> str:
    """``split 3``, ``splits 0-9``."""
    return f"{what}{'s' if len(numbers) > 1 else ''} {ranges(numbers)}"


def ranges(numbers: Iterable[int]) -> str:
    """``0-3,7``."""
    groups: list[list[int]] = []
    for number in sorted(set(numbers)):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ",".join(f"{g[0]}-{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)


def by_value(triples: Iterable[tuple[str, str, object]]) -> str:
    """``a, b on x, y: 5; c on y: 1``: what holds for which rows, from (data set, method, value) triples."""
    datasets: dict[tuple[object, str], list[str]] = {}
    for dataset, method, value in triples:
        datasets.setdefault((value, method), []).append(dataset)
    methods: dict[tuple[object, tuple[str, ...]], list[str]] = {}
    for (value, method), where in datasets.items():
        methods.setdefault((value, tuple(where)), []).append(method)
    return "; ".join(
        f"{', '.join(who)} on {', '.join(where)}{f': {value}' if value != '' else ''}"
        for (value, where), who in methods.items()
    )
