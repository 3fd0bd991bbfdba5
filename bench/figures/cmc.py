"""Mean CMC curves of rows of the main tables, with the tables' intervals and published points."""

from bench.figures.canvas import Figure
from bench.figures.looks import looks
from bench.figures.request import Request
from bench.figures.rows import main_rows
from bench.figures.text import Labels
from bench.protocol.statistics import confidence_interval


def draw(request: Request) -> Figure:
    rows = main_rows(request, unasked=lambda method: "[" not in method)
    figure = Figure(2.4 * len(rows.datasets), rows.notes)
    labels, look = Labels(rows.methods, 1.2), looks(rows.methods)
    for axes, dataset in zip(figure.subplots(len(rows.datasets), squeeze=False)[:, 0], rows.datasets, strict=True):
        for row in rows.of(dataset):
            ranks = range(1, row.group.ranks + 1)
            means = [row.group.mean(rank) for rank in ranks]
            low, high = zip(*(confidence_interval(row.group.percent(rank)) for rank in ranks), strict=True)
            axes.plot(ranks, means, label=labels(row.method), **look[row.method].line)
            axes.fill_between(ranks, low, high, color=look[row.method].colour, alpha=0.2, linewidth=0)
        axes.legend()
    return figure
