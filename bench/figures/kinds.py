"""Which figures there are.  A kind is a module of this package with ``draw(request) -> Figure``."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.plugin.registry import unknown

if TYPE_CHECKING:
    from bench.figures.canvas import Figure
    from bench.figures.request import Request


@dataclass(frozen=True)
class Kind:
    """A kind of figure, in the module of its name.

    people: whether it shows images of a data set, which are drawn on request only and never put into a report unasked.
    """

    name: str
    title: str
    people: bool = False

    def draw(self, request: "Request") -> "Figure":
        """The figure; UsageError where there is nothing to show of what is asked for, or no matplotlib."""
        try:
            importlib.import_module("matplotlib")
        except ImportError as error:
            raise UsageError(f"figures need matplotlib ({error}): python -m pip install matplotlib") from error
        from bench.figures.canvas import styled

        draw: Callable[[Request], Figure] = importlib.import_module(f"bench.figures.{self.name}").draw
        with styled():
            return draw(request)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("cmc", "mean CMC curves with intervals, published points beside them"),
        Kind("alpha", "rank 1 against the weight of the super-resolution loss (Figure 6)"),
        Kind("fusion", "rank 1 of anchor subsets (Table 4), and the weights of the fusion against resolution"),
        Kind("resolution", "rank 1 by down-sampling ratio and by size of the probe"),
        Kind("training", "learning curves of networks"),
        Kind("cost", "rank 1 against time and memory"),
        Kind("history", "published methods by year, with what was measured here"),
        Kind(
            "qualitative", "images as front-ends and methods enhance them, with PSNR and SSIM (Figure 5)", people=True
        ),
        Kind("samples", "pairs of low and high resolution of data sets (Figure 4)", people=True),
        Kind("ranks", "the ten nearest gallery images of probes, the best and the worst cases", people=True),
    )
}


def find_kind(name: str) -> Kind:
    if name not in KINDS:
        raise unknown("kind of figure", name, list(KINDS))
    return KINDS[name]
