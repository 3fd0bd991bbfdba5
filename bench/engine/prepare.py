"""Everything about a data set that a run needs once: converted, read, checked, decoded and kept in the cache."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engine.cache import Cache
from bench.engine.data import Data, load
from bench.engine.plan import expand
from bench.errors import DataError, counted
from bench.plugin.registry import registry
from bench.plugin.spec import dataset_spec


@dataclass(frozen=True)
class Prepared:
    """How preparing one data set ended.  text: one line with its counts, or what is wrong; ready: False for the latter.

    named: whether it was asked for by name, rather than by a glob.
    """

    text: str
    ready: bool
    named: bool


def prepare(patterns: Sequence[str], root: Path | None, seed: int, cache: Cache) -> Iterator[Prepared]:
    """Prepare the data sets that the patterns stand for; what is in the cache already is not made again.

    UsageError for an unknown name, before anything is prepared.
    """
    specs = [(dataset_spec(text), named) for text, named in expand(patterns, registry().names("dataset")).items()]
    for spec, named in specs:
        start = time.perf_counter()
        try:
            data = load(spec, root, seed, cache)
        except DataError as error:
            yield Prepared(str(error), False, named)
        else:
            yield Prepared(f"{spec.text}: {counts(data)}; {time.perf_counter() - start:.1f} s", True, named)


def counts(data: Data) -> str:
    """``1,264 images of 632 people, 632 of the probe side at low resolution, sizes 12x32 to 48x128``."""
    shapes, areas = data.images.shapes, data.images.areas
    sizes = ["x".join(map(str, shapes[row][::-1])) for row in (areas.argmin(), areas.argmax())]
    parts = [
        f"{counted(len(shapes), 'image')} of {counted(len(data.identities), 'person')}",
        counted(len(data.distractors), "distractor") if data.distractors else "",
        f"{data.probe.sum():,} of the probe side{' at low resolution' if data.low_resolution else ''}",
        f"sizes {' to '.join(dict.fromkeys(sizes))}",
        f"{counted(len(data.splits), 'split')} of its own" if data.splits is not None else "",
    ]
    return ", ".join(filter(None, parts))
