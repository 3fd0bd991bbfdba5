"""CMC and mAP of galleries whose distances do not fit in memory: to the bit as from the whole matrix, in one pass.

What ranks a probe is how many people are nearer than its match, and how many as near.  Every block is looked through
once, before it is known what the match's own block makes of its distance: a narrow band around a first value of that
sorts nearly all others out, and what lies in the band is kept until the distance is known.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed

from bench.errors import BenchError
from bench.protocol.blocks import Part, part_of
from bench.protocol.scoring import LISTED, Score, Trial, people_in

Compute = Callable[[Part, Part], Iterable[tuple[Hashable, np.ndarray]]]
"""By name, distances of the probes asked to the gallery images asked, (a, b); of the same names at each call."""

BAND = 64
"""Half the band's width, in units of the last place of the largest distance; a match outside costs a second pass."""
ROWS = 64
"""Of a block, looked through together: few enough to stay in a processor's cache."""
MANY = 32
"""Where more than one in so many distances is below its bound, counting them is faster than listing them."""
FEW = 64
"""Probes whose matches are looked for together."""


def all_finite(values: np.ndarray) -> bool:
    """Whether all are: both extremes are NaN where a value is, and take less time than a look at each."""
    return not values.size or bool(np.isfinite([values.min(), values.max()]).all())


def counts(mask: np.ndarray) -> np.ndarray:
    """(r,) int64: how many of each row are true.  mask: (r, k) bool."""
    return np.bitwise_count(np.packbits(mask, axis=1)).sum(axis=1, dtype=np.int64)


@dataclass(frozen=True)
class Side:
    """The images of one side.  identity: (n,).  position: (n,) of each the row of its distinct image.  parts: all."""

    identity: np.ndarray
    position: np.ndarray
    parts: Sequence[Part]


@dataclass(frozen=True)
class Shots:
    """The images that one drawn gallery has in a part.

    columns: (c,) places among the images asked, None for all in order.  starts: where each person's begin, None where
    all have one.  person: (k,) identities.  image: (c,) images of the side.
    """

    columns: np.ndarray | None
    starts: np.ndarray | None
    person: np.ndarray
    image: np.ndarray

    @classmethod
    def of(cls, part: Part, inside: np.ndarray, identity: np.ndarray) -> "Shots":
        """inside: (n,) bool, which images of the side are drawn."""
        chosen = inside[part.shown]
        image, columns = part.shown[chosen], part.place[chosen]
        order = np.argsort(identity[image], kind="stable")
        person, starts = np.unique(identity[image[order]], return_index=True)
        if len(person) == len(image):
            # In the order of the block's columns, of which no copy is needed where all are drawn.
            order = np.argsort(columns, kind="stable")
            everything = np.array_equal(columns[order], np.arange(len(part.asked)))
            return cls(None if everything else columns[order], None, identity[image[order]], image[order])
        return cls(columns[order], starts, person, image[order])

    def nearest(self, block: np.ndarray) -> np.ndarray:
        """(p, k) distance to the nearest image of each person.  block: (p, images asked)."""
        chosen = block if self.columns is None else block[:, self.columns]
        return chosen if self.starts is None else np.minimum.reduceat(chosen, self.starts, axis=1)

    def which(self, block: np.ndarray, row: np.ndarray, person: np.ndarray, value: np.ndarray) -> np.ndarray:
        """(h,) the first image at which persons, by their places, have a distance in some rows of a block."""
        if self.starts is None or self.columns is None:
            return self.image[person]
        place = self.starts[person]
        while (wrong := block[row, self.columns[place]] != value).any():
            place = place + wrong
        return self.image[place]

    def places(self, identity: np.ndarray) -> np.ndarray:
        """(p,) where among `person` some people are, -1 for those who are not."""
        if not len(self.person):
            return np.full(len(identity), -1)
        order = np.argsort(self.person, kind="stable")
        found = order[np.searchsorted(self.person[order], identity).clip(max=len(order) - 1)]
        return np.where(self.person[found] == identity, found, -1)


class Nearest:
    """Each probe's nearest images so far, one a person: people at one distance in the order of the side's images."""

    def __init__(self, probes: int, dtype: np.dtype) -> None:
        self.value = np.full((probes, LISTED), np.inf, dtype)
        self.image = np.full((probes, LISTED), -1)

    def add(self, row: np.ndarray, value: np.ndarray, image: np.ndarray) -> None:
        """Further images, (h,), each of a person who has none yet; rows ascending."""
        if not len(row):
            return
        new = np.diff(row, prepend=-1) > 0
        rows, place = row[new], np.cumsum(new) - 1
        every = np.concatenate([place, np.arange(len(rows)).repeat(LISTED)])
        values = np.concatenate([value, self.value[rows].ravel()])
        images = np.concatenate([image, self.image[rows].ravel()])
        order = np.lexsort((images, values, every))
        starts = np.searchsorted(every[order], np.arange(len(rows)))
        kept = order[starts[:, None] + np.arange(LISTED)]
        self.value[rows], self.image[rows] = values[kept], images[kept]


class Tally:
    """Of some probes: how many people of one drawn gallery are nearer than the match, and how many as near.

    identity: (p,).  low, high: (p,) between which the match's distance lies.  nearest: takes the lists, if any.
    """

    def __init__(self, identity: np.ndarray, low: np.ndarray, high: np.ndarray, nearest: Nearest | None) -> None:
        self.identity, self.low, self.high, self.nearest = identity, low, high, nearest
        self.match = np.full(len(low), np.nan, low.dtype)
        self.below = np.zeros(len(low), np.int64)
        self.near: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, block: np.ndarray, shots: Shots) -> None:
        """Look through the distances of all probes to further people."""
        if not len(shots.person):
            return
        at = shots.places(self.identity)
        last = np.full_like(self.high, -np.inf) if self.nearest is None else self.nearest.value[:, -1]
        bound = np.maximum(self.high, last)
        found = []
        for start in range(0, len(block), ROWS):
            rows = slice(start, start + ROWS)
            distances = shots.nearest(block[rows])
            least = distances.min(axis=1)
            if not (np.isfinite(least).all() and np.isfinite(distances.max())):
                raise BenchError("some distances are NaN or infinite; all must be finite")
            own = np.flatnonzero(at[rows] >= 0)
            self.match[start + own] = distances[own, at[start + own]]
            # A probe whose match is near has nobody to look at in most blocks.
            near = np.flatnonzero(least <= bound[rows])
            if not len(near):
                continue
            if 2 * len(near) < len(distances):
                distances = distances[near]
            else:
                near = np.arange(len(distances))
            near += start
            mask = distances <= bound[near, None]
            if np.count_nonzero(mask) * MANY > mask.size:
                mask = self._counted(near, distances, last[near, None])
            row, person = np.divmod(np.flatnonzero(mask), distances.shape[1])
            found.append((near[row], person, distances[row, person]))
        if not found:
            return
        row, person, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
        self._take(row, person, value, block, shots)

    def _counted(self, rows: np.ndarray, distances: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Count what some probes have below the band; (r, k) what is in it or may be listed."""
        low, high = self.low[rows, None], self.high[rows, None]
        below = distances < low
        count = counts(below)
        crossed = np.flatnonzero(counts(distances <= high) > count)
        if self.nearest and not np.isfinite(last).all() and distances.shape[1] > LISTED:
            last = np.minimum(last, np.partition(distances, LISTED - 1, axis=1)[:, LISTED - 1 : LISTED])
        mask = distances <= last
        # What may be listed is counted with what is listed.
        self.below[rows] += count - counts(mask & below)
        mask[crossed] |= (distances[crossed] >= low[crossed]) & (distances[crossed] <= high[crossed])
        return mask

    def _take(self, row: np.ndarray, person: np.ndarray, value: np.ndarray, block: np.ndarray, shots: Shots) -> None:
        """Count what is below the band, keep what is in it, list what is among the nearest."""
        below = value < self.low[row]
        self.below += np.bincount(row[below], minlength=len(block))
        band = ~below & (value <= self.high[row])
        self.near.append((row[band], value[band]))
        if self.nearest:
            listed = value <= self.nearest.value[row, -1]
            row, person, value = row[listed], person[listed], value[listed]
            self.nearest.add(row, value, shots.which(block, row, person, value))

    @property
    def certain(self) -> bool:
        """Whether every match was found where it was looked for."""
        return bool(((self.low <= self.match) & (self.match <= self.high)).all())

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """As `bench.protocol.scoring.match_positions`."""
        row, value = (np.concatenate(parts) for parts in zip(*self.near, strict=True))
        match = self.match[row]
        nearer, ties = (np.bincount(row[which], minlength=len(self.match)) for which in (value < match, value == match))
        return 1 + self.below + nearer, ties


def score_stream(
    trial: Trial, probe: Side, gallery: Side, compute: Compute, listed: Hashable = None, threads: int = 1
) -> dict[Hashable, tuple[Score, np.ndarray]]:
    """As `Trial.score` and `Trial.nearest`, for every name that `compute` gives; lists are empty but for `listed`.

    threads: that work on different probes; each holds a few blocks.  BenchError where a probe has no match, or where
    the same block has other distances when it is asked for again.
    """
    drawn = [np.isin(np.arange(len(gallery.identity)), draw) for draw in trial.draws]
    shots = [[Shots.of(part, inside, gallery.identity) for part in gallery.parts] for inside in drawn]
    work = (delayed(of_part)(part, probe, gallery, drawn, shots, compute, listed) for part in probe.parts)
    found = Parallel(n_jobs=threads, prefer="threads")(work)
    order = np.argsort(np.concatenate([part.shown for part in probe.parts]))
    people = people_in(gallery.identity[trial.draws[0]])
    result = {}
    for key in found[0]:
        positions = []
        for draw in range(len(drawn)):
            first, ties = zip(*(tallies[key][draw].positions() for tallies in found), strict=True)
            positions.append((np.concatenate(first)[order], np.concatenate(ties)[order]))
        lists = [tallies[key][0].nearest for tallies in found]
        images = [np.zeros((0, LISTED), np.int64) if of is None else of.image for of in lists]
        nearest = np.concatenate(images)[:, : min(LISTED, people)]
        result[key] = trial.summary(positions), nearest[order] if key == listed else nearest
    return result


def of_part(
    part: Part,
    probe: Side,
    gallery: Side,
    drawn: Sequence[np.ndarray],
    shots: Sequence[Sequence[Shots]],
    compute: Compute,
    listed: Hashable,
) -> dict[Hashable, list[Tally]]:
    """By name the tallies of a part's probes, one for each gallery drawn."""
    identity = probe.identity[part.shown]
    bounds = looked_for(part, probe, gallery, drawn, compute)
    for _ in range(2):
        tallies = {
            key: [
                Tally(identity, low, high, Nearest(len(low), low.dtype) if key == listed and draw == 0 else None)
                for draw, (low, high) in enumerate(found)
            ]
            for key, found in bounds.items()
        }
        for number, other in enumerate(gallery.parts):
            for key, block in compute(part, other):
                block = block if part.plain else block[part.place]
                for draw, tally in enumerate(tallies[key]):
                    tally.add(block, shots[draw][number])
        if all(tally.certain for found in tallies.values() for tally in found):
            return tallies
        bounds = {key: [(tally.match, tally.match) for tally in found] for key, found in tallies.items()}
    raise BenchError("the distances of the same images were others when they were asked for again")


def looked_for(
    part: Part, probe: Side, gallery: Side, drawn: Sequence[np.ndarray], compute: Compute
) -> dict[Hashable, list[tuple[np.ndarray, np.ndarray]]]:
    """By name, for each gallery drawn, (p,) bounds of each probe's distance to its match.

    From blocks of few images, where a sum may be rounded otherwise than in the block that counts.
    """
    by_person = np.argsort(gallery.identity, kind="stable")
    ordered = gallery.identity[by_person]
    values: dict[Hashable, list[np.ndarray]] = {}
    largest: dict[Hashable, float] = {}
    for start in range(0, len(part.shown), FEW):
        shown = part.shown[start : start + FEW]
        identity = probe.identity[shown]
        wanted = np.unique(identity)
        ends = (np.searchsorted(ordered, wanted, side) for side in ("left", "right"))
        images = np.sort(np.concatenate([by_person[a:b] for a, b in zip(*ends, strict=True)]))
        some, others = part_of(probe.position, shown), part_of(gallery.position, images)
        same = identity[:, None] == gallery.identity[images]
        inside = [which[images] & same for which in drawn]
        missing = np.unique(identity[~np.all([found.any(axis=1) for found in inside], axis=0)])
        if len(missing):
            raise BenchError(f"no gallery image of the people of some probes: {missing[:5].tolist()}")
        for key, block in compute(some, others):
            block = block[some.place][:, others.place]
            largest[key] = max(largest.get(key, 0.0), float(np.abs(block).max()))
            least = [np.where(found, block, np.inf).min(axis=1).astype(block.dtype) for found in inside]
            values.setdefault(key, []).append(np.array(least))
    bounds = {}
    for key, parts in values.items():
        match = np.concatenate(parts, axis=1)
        slack = np.asarray(BAND * np.finfo(match.dtype).eps * largest[key], match.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            bounds[key] = [(value - slack, value + slack) for value in match]
    return bounds
