"""What is stored of a cell: typed, and checked when a file is read, since it may come from a stranger."""

import itertools
import math
import operator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bench.engine.identity import Cell
from bench.errors import BenchError
from bench.protocol.scoring import LISTED

FORMAT = 2
LEAST_RANKS = 20
"""A CMC has so many ranks at least, or one for each person of a smaller gallery: those that tables print."""

Count = Annotated[int, Meta(ge=1, le=10**9)]
Index = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Cost = Annotated[float, Meta(ge=0, le=1e9)]
"""Seconds, MiB, or a number of parameters."""


class Scores(msgspec.Struct, frozen=True):
    """cmc: shares in [0, 1] at ranks 1, 2, ..., rising.  map: in [0, 1]."""

    cmc: tuple[float, ...]
    map: float


class Sizes(msgspec.Struct, frozen=True):
    train_people: Count
    test_people: Count
    probes: Count
    gallery_images: Count
    gallery_draws: Count


class Computed(msgspec.Struct, frozen=True):
    """What produced a cell; written once and never changed.

    commit: of the tree, with ``+changes`` where files differed from it, None outside a checkout.  libraries: name ->
    version.  date: ISO 8601, UTC.  threads: of torch and BLAS.  device, precision: of networks, empty where there are
    none.  source: hash of the code of the method's and its front-end's own files, empty where it was not kept.
    """

    commit: str | None
    libraries: dict[str, str]
    machine: str
    date: str
    threads: Count
    source: str = ""
    device: str = ""
    precision: str = ""


class Verified(msgspec.Struct, frozen=True):
    """A later computation of a split of the cell's row.  difference: largest of any CMC value, 0 where exact."""

    commit: str | None
    date: str
    split: Index
    machine: str
    libraries: dict[str, str]
    difference: Annotated[float, Meta(ge=0, le=1)]


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finished cell's outcome and origin.

    fusion: ``identity`` (anchor models coincide), ``weighted``, or ``none``.  sigma, subsets: by anchor subset.
    probe_ranks: expected rank of each probe's match, in the data set's order of probes; probe_hits: how often it comes
    first, in [0, 1], over the galleries drawn, empty where it was not kept.  nearest: of each probe, in that order,
    what `bench.protocol.scoring.Trial.nearest` lists: gallery images as numbers from 0 in the data set's order, which
    is that of the distances' columns; empty where it was not kept.  initialisation, curves: by anchor and plug-in.
    cost: seconds, MiB and the parameters of networks, all anchors' together, by name.  contract: whether the method, as
    it was then, had passed `bench check`.  warnings: what looks wrong with the data set.
    """

    protocol: str
    sizes: Sizes
    fusion: str
    cmc: tuple[float, ...]
    map: float
    probe_ranks: tuple[float, ...]
    cost: dict[str, Cost]
    computed: Computed
    probe_hits: tuple[Annotated[float, Meta(ge=0, le=1)], ...] = ()
    sigma: dict[str, float] = {}
    subsets: dict[str, Scores] = {}
    initialisation: dict[str, dict[str, str]] = {}
    curves: dict[str, dict[str, Any]] = {}
    verified: tuple[Verified, ...] = ()
    warnings: tuple[str, ...] = ()
    contract: bool = False
    nearest: tuple[tuple[Index, ...], ...] = ()

    def __post_init__(self) -> None:
        everything: tuple[Record | Scores, ...] = (self, *self.subsets.values())
        for scores in everything:
            check_scores(scores.cmc, scores.map)
        if any(not math.isfinite(v) or v <= 0 for v in self.sigma.values()):
            raise ValueError("sigma must be above 0 and finite")
        least, most = min(LEAST_RANKS, self.sizes.test_people), self.sizes.gallery_images
        if not least <= len(self.cmc) <= most:
            raise ValueError(f"the CMC has {len(self.cmc)} ranks; at least {least} and at most {most} expected")
        if any(len(scores.cmc) != len(self.cmc) for scores in self.subsets.values()):
            raise ValueError("the CMC of a subset has another length than that of all")
        if "total_seconds" not in self.cost:
            raise ValueError("cost must have total_seconds")
        ranks = self.probe_ranks
        if not all(map(math.isfinite, ranks)) or min(ranks, default=1) < 1 or max(ranks, default=1) > most:
            raise ValueError(f"probe_ranks must be finite, from 1 to {most}")
        if self.nearest:
            check_nearest(self.nearest, self.sizes)
        if self.probe_hits and len(self.probe_hits) != len(ranks):
            raise ValueError("probe_hits must be of as many probes as probe_ranks")


class Failure(msgspec.Struct, frozen=True):
    """A failed cell.  error: one line.  traceback: of the plug-in, empty where there is none."""

    error: str
    computed: Computed
    traceback: str = ""


class PluginUsed(msgspec.Struct, frozen=True):
    name: str
    version: int
    options: dict[str, str]


class Dependencies(msgspec.Struct, frozen=True):
    """The shape of `bench.engine.identity.depends_of`'s values, which a file's must have."""

    parts: dict[str, int] = {}
    method: PluginUsed | None = None
    front_end: PluginUsed | None = None
    dataset: PluginUsed | None = None
    harness: dict[str, str] = {}
    protocol: dict[str, str] = {}


class StoredCell(msgspec.Struct, frozen=True):
    """The cell as it stands in a file."""

    method: str
    dataset: str
    split: Index
    seed: Index
    profile: str
    data: str
    weights: tuple[str, ...]
    depends: dict[str, Any]

    def __post_init__(self) -> None:
        msgspec.convert(self.depends, Dependencies)

    def cell(self) -> Cell:
        return Cell(
            self.method, self.dataset, self.split, self.seed, self.profile, self.data, self.weights, self.depends
        )


class File(msgspec.Struct, frozen=True):
    """A result file: a finished cell has `record`, a failed one `failure`."""

    format: int
    fingerprint: str
    cell: StoredCell
    record: Record | None = None
    failure: Failure | None = None


def check_scores(cmc: tuple[float, ...], mean_ap: float) -> None:
    """ValueError unless the CMC has values that rise within [0, 1], and so has mAP its place there."""
    if not cmc:
        raise ValueError("the CMC is empty")
    if cmc[0] >= 0 and cmc[-1] <= 1 and 0 <= mean_ap <= 1 and all(map(operator.le, cmc, cmc[1:])):
        return  # nothing is less or equal to NaN: all are numbers
    slack = 1e-9  # of means over gallery draws
    values = (*cmc, mean_ap)
    if not all(map(math.isfinite, values)) or min(values) < -slack or max(values) > 1 + slack:
        raise ValueError("CMC and mAP must lie in [0, 1]")
    if any(b < a - slack for a, b in itertools.pairwise(cmc)):
        raise ValueError("the CMC falls")


def check_nearest(nearest: tuple[tuple[int, ...], ...], sizes: Sizes) -> None:
    """ValueError unless there is a list for each probe, all of one length, each of different gallery images."""
    if len(nearest) != sizes.probes:
        raise ValueError(f"nearest has {len(nearest)} lists; one for each of the {sizes.probes} probes expected")
    lengths = set(map(len, nearest))
    if len(lengths) > 1 or not min(LISTED, sizes.test_people) <= min(lengths) <= LISTED:
        raise ValueError(f"the lists of nearest must be equally long, {LISTED} images or all people of a small gallery")
    if any(len(set(listed)) < len(listed) or max(listed) >= sizes.gallery_images for listed in nearest):
        raise ValueError(f"the lists of nearest must hold different numbers from 0 to {sizes.gallery_images - 1}")


class Versioned(msgspec.Struct):
    format: int


def decoded(path: Path, content: bytes) -> File:
    """A file's content; ValueError or an error of msgspec's where it is none of this format, BenchError of a newer."""
    try:
        file = msgspec.json.decode(content, type=File)
    except msgspec.ValidationError:
        check_format(path, msgspec.json.decode(content, type=Versioned).format)
        raise
    check_format(path, file.format)
    return file


def check_format(path: Path, version: int, known: int = FORMAT) -> None:
    if version > known:
        raise BenchError(
            f"{path} was written by a newer version of bench (format {version}, this one reads {known}): update"
            " bench to read it"
        )
    if version < known:
        raise ValueError(f"format {version}, this version reads format {known}")
