"""What the methods on LOMO descriptors share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.plugin.base import Method
from methods._lomo import LOMO

if TYPE_CHECKING:
    from bench.protocol.extractors import Extractor


@dataclass(kw_only=True, eq=False, repr=False)
class OnLOMO(Method):
    """A method on LOMO descriptors.

    retinex: the variant of `LOMO`'s colour normalisation.
    """

    retinex: Literal["msrcp", "none"] = "msrcp"

    @property
    def lomo(self) -> LOMO:
        return LOMO(retinex=self.retinex)

    def extractors(self) -> "Sequence[Extractor]":
        return [self.lomo]
