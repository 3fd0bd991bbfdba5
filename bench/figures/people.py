"""Whose images may be shown to whom: those of people are for research, drawn ones are anybody's."""

from collections.abc import Sequence

from bench.plugin.registry import Plugin, registry


def drawn(dataset: str) -> bool:
    """Whether a data set's images are drawn by program, and show nobody: those of a set that needs no files."""
    return isinstance(plugin_of(dataset).attributes.get("small"), str)


def terms(datasets: Sequence[str]) -> list[str]:
    """A line for each data set that shows people."""
    lines = []
    for dataset in datasets:
        if not drawn(dataset):
            own = plugin_of(dataset).attributes.get("terms")
            lines.append(f"{dataset} shows people; its images are for research{f': {own}' if own else ''}")
    return lines


def plugin_of(dataset: str) -> Plugin:
    """UsageError for an unknown name."""
    return registry().get("dataset", dataset.partition("[")[0])
