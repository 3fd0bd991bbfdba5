"""The multi-resolution fusion: rank 1 of anchor subsets (Table 4), and the weights of Eq. 8 against resolution."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator

from bench.errors import UsageError
from bench.figures.canvas import WIDTH, Figure
from bench.figures.key import Key
from bench.figures.probes import Probes
from bench.figures.request import Request
from bench.figures.rows import Row, nothing, table_rows
from bench.figures.sheet import BELOW, EDGE, GAP, LEFT, LINE, Sheet, ticks
from bench.figures.text import cut
from bench.plugin.grammar import canonical, split_text
from bench.protocol.fusion import ANCHORS, weights
from bench.protocol.statistics import confidence_interval
from bench.report.groups import Group, Groups, as_value, base_and_subset
from bench.report.names import select
from bench.report.published import find_table
from bench.report.tables import printed_methods

TABLE = "4"
SUBSETS = ["+".join(map(str, s)) for n in (1, 2, 3) for s in itertools.combinations(ANCHORS, n)]
ALL = SUBSETS[-1]
ANCHOR_LINES: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "solid"),
    ("#D55E00", (0, (4.0, 1.3))),
    ("#009E73", (0, (1.2, 1.0))),
)
SIGMA_LEAST = 1e-3
NAMES = 0.82  # inches for the names of subsets
LINE_HEIGHT = 0.19
HEIGHT = 0.95
R = np.linspace(0.1, 1.0, 181)


def draw(request: Request) -> Figure:
    """On top rank 1 of every subset, a panel for each data set; below, the weights of each row."""
    bases = chosen_bases(request)
    names = [with_anchors(base, subset) for base in bases for subset in SUBSETS]
    rows, probes = table_rows(replace(request, methods=names), find_table(TABLE)), Probes(request.stores)
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows.rows:
        base, subset = base_and_subset(row.method)
        found.setdefault((row.dataset, base), {})[subset] = row
    heads = {place: Row(*place, next(iter(own.values())).group) for place, own in found.items()}
    key, sheet = Key(heads.values()), Sheet()
    for first in range(0, len(rows.datasets), 2):
        pair = rows.datasets[first : first + 2]
        width = (WIDTH - NAMES - EDGE - GAP * (len(pair) - 1)) / len(pair)
        for number, dataset in enumerate(pair):
            left = NAMES + number * (width + GAP)
            sheet.heading(key.titles(dataset), left, width)
            axes = sheet.axes(left, width, LINE_HEIGHT * len(SUBSETS), down=0.2)
            subsets(axes, {heads[place]: own for place, own in found.items() if place[0] == dataset}, key)
            axes.set_yticks(range(len(SUBSETS)), [] if number else SUBSETS)
        sheet.y += 0.2 + LINE_HEIGHT * len(SUBSETS) + BELOW + 0.04
    rings = "; hollow: published" if any(row.published for row in rows.rows) else ""
    sheet.y += sheet.legend(key.entries(heads.values(), linestyle="none"), EDGE) + 0.12
    fused = [[p for p in found if p[1] == base and ALL in found[p] and sigmas(found[p][ALL].group)] for base in bases]
    for abreast in (places[i : i + 2] for places in fused for i in range(0, len(places), 2)):
        for number, place in enumerate(abreast):
            left, row = LEFT + number * (sheet.half + GAP), found[place][ALL]
            sheet.text(cut(f"{key.label(heads[place])}, {key.titles(row.dataset)}", sheet.half), left)
            sheet.text(about_sigma(row.group), left, down=LINE)
            axes = sheet.axes(left, sheet.half, HEIGHT, down=2 * LINE + 0.06)
            weight_curves(axes, row.group, probes)
            axes.tick_params(labelleft=not number)
            if not number:
                axes.set_ylabel("share of weight", labelpad=2)
        sheet.y += 2 * LINE + 0.06 + HEIGHT + BELOW + 0.08
    anchors = [Line2D([], [], color=c, linestyle=d) for c, d in ANCHOR_LINES]
    entries = [(line, f"anchor {anchor}") for line, anchor in zip(anchors, ANCHORS, strict=True)]
    if any(fused):
        sheet.y += sheet.legend([*entries, (Patch(color="0.82"), "probes")], EDGE) + 0.04
    sheet.line(f"Whiskers: 95 % interval over splits; bands: range{rings}{key.line}")
    return sheet.finish([*rows.notes, *probes.problems, *key.notes])


def chosen_bases(request: Request) -> list[str]:
    """The methods whose anchors are fused: those that are asked for, else those of the paper's table."""
    cells = [r for r in Groups(request.results).results if len(r.finished.subsets) > 1]
    fused = list(dict.fromkeys(base_and_subset(r.cell.method)[0] for r in cells if r.cell.seed == request.seed))
    if request.methods:
        return select(request.methods, fused, "fused method")
    printed = {base_and_subset(method)[0] for method in printed_methods(find_table(TABLE))}
    if not printed & set(fused):
        raise UsageError(f"{nothing(request)}; of fused methods there is {', '.join(fused) or 'none'}")
    return [base for base in fused if base in printed]


def with_anchors(base: str, subset: str) -> str:
    name, pairs = split_text(base)
    return canonical(name, [{key: as_value(text) for key, text in pairs.items()}, {"anchors": subset}])


def subsets(axes: Axes, rows: Mapping[Row, Mapping[str, Row]], key: Key) -> None:
    """Rank 1 of every subset, the single anchors on top; rows of several methods below each other."""
    for place, (head, own) in enumerate(rows.items()):
        look = key.look(head)
        shift = 0.6 * ((place + 0.5) / len(rows) - 0.5)
        y = {subset: SUBSETS.index(subset) + shift for subset in own}
        values = {subset: row.group.percent(1) for subset, row in own.items()}
        low, high = zip(*(confidence_interval(v) for v in values.values()), strict=True)
        axes.hlines(list(y.values()), low, high, color=look.colour, linewidth=0.8)
        means = [float(np.mean(v)) for v in values.values()]
        axes.plot(means, list(y.values()), **look.points, label=head.method)
        published = {subset: row.published[1] for subset, row in own.items() if 1 in row.published}
        if published:
            axes.plot(list(published.values()), [y[subset] for subset in published], **look.hollow)
    axes.set_xlim(0, 1.07 * axes.get_xlim()[1])
    axes.xaxis.set_major_locator(MultipleLocator(10))
    axes.set_ylim(len(SUBSETS) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.set_xlabel("matched at rank 1, %", labelpad=1)


def sigmas(group: Group) -> list[float]:
    """Of all anchors together, one a split that has it; none is smaller than the harness's own."""
    return [max(record.sigma[ALL], SIGMA_LEAST) for record in group.records if ALL in record.sigma]


def about_sigma(group: Group) -> str:
    """``σ 0.25, fixed``, or the median and range of what cross-validation found."""
    found = sigmas(group)
    how = "by CV" if any("sigma_seconds" in record.cost for record in group.records) else "fixed"
    span = f" ({min(found):g}–{max(found):g})" if min(found) < max(found) else ""
    return f"σ {float(np.median(found)):.2g}{span}, {how}"


def weight_curves(axes: Axes, group: Group, probes: Probes) -> None:
    """Each anchor's share of the weight against r of Eq. 7: mean and range over splits; behind, where probes are."""
    shares = np.array([share(weights(R, ANCHORS, sigma)) for sigma in sigmas(group)])
    outcomes = probes.of(group)
    if outcomes:
        counts, edges = np.histogram(np.concatenate([o.relative for o in outcomes]), bins=45, range=(R[0], R[-1]))
        axes.stairs(0.6 * counts / max(counts.max(), 1), edges, fill=True, color="0.82")
    for place, (colour, dashes) in enumerate(ANCHOR_LINES):
        own = shares[:, :, place]
        axes.fill_between(R, own.min(axis=0), own.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        axes.plot(R, own.mean(axis=0), color=colour, linestyle=dashes, label=f"anchor {ANCHORS[place]}")
    axes.set_xlim(R[0], R[-1])
    axes.set_ylim(0, 1.03)
    ticks(axes, (0, 0.5, 1), "y")
    ticks(axes, (0.25, 0.5, 0.75, 1))
    axes.set_xlabel("resolution ratio r", labelpad=1)


def share(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum(axis=1, keepdims=True)
