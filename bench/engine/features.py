"""Features of pictures outside any protocol: by methods that describe an image without having been fitted."""

import io
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bench.engine.cache import header
from bench.engine.decode import SUFFIXES, decode
from bench.engine.identity import part_version, uses
from bench.engine.listed import files_below
from bench.errors import BenchError, DataError, NotApplicable
from bench.files import writing
from bench.plugin.base import Photo
from bench.plugin.locate import describe
from bench.plugin.spec import MethodSpec
from bench.protocol.extractors import Extractor
from bench.protocol.images import CHUNK
from bench.protocol.resize import resize_all


def find_pictures(paths: Sequence[Path]) -> dict[str, Path]:
    """Name -> file, in the order of names: of a folder all images below it, by their paths in it; of a file its name.

    DataError for what is not there, a folder without images, two of one name, and a name that is not UTF-8.
    """
    found: dict[str, Path] = {}
    for given in paths:
        if given.is_dir():
            inside = [name for name in files_below(given) if name and Path(name).suffix.lower() in SUFFIXES]
            if not inside:
                raise DataError(f"no image below {given}")
            pairs = [(name, given / name) for name in inside]
        elif given.exists():
            pairs = [(given.name, given)]
        else:
            raise DataError(f"there is no {given}")
        for name, path in pairs:
            if (other := found.setdefault(name, path)) != path:
                raise DataError(f"{other} and {path} are both called {name}; name a folder that holds both")
            if any("\ud800" <= c <= "\udfff" for c in name):
                raise DataError(f"the file name {name!a} is not UTF-8; rename the file")
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Describer:
    """Pictures to features; made by `describer`."""

    spec: MethodSpec
    extractors: Sequence[Extractor]

    @property
    def about(self) -> Mapping[str, object]:
        """What the features are of, as JSON values."""
        plugins = [plugin for plugin in (self.spec.method, self.spec.frontend) if plugin]
        return {
            "method": self.spec.text,
            "input_size": list(self.spec.build().input_size),
            "extractors": [repr(extractor) for extractor in self.extractors],
            "plugins": {plugin.name: plugin.attributes.get("version", 1) for plugin in plugins},
            "parts": {part: part_version(part) for plugin in plugins for part in uses(plugin)},
        }

    def blocks(self, pictures: Sequence[Path]) -> Iterator[np.ndarray]:
        """(k, d) float32 for k pictures after the other.  DataError for one that cannot be read."""
        for start in range(0, len(pictures), CHUNK):
            images = [decode(Photo(path, "", ""), self.spec.text) for path in pictures[start : start + CHUNK]]
            with failing(self.spec):
                block = self.describe(images)
            if block.ndim != 2 or len(block) != len(images) or not np.isfinite(block).all():
                raise BenchError(f"{self.spec.text} must give a row of finite numbers for each of {len(images)} images")
            yield block

    def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
        frontend, size = self.spec.build_frontend(), self.spec.build().input_size
        shown = frontend.upscale(images, size) if frontend else resize_all(images, size)
        return np.hstack([np.asarray(extractor(shown), np.float32) for extractor in self.extractors])


def describer(spec: MethodSpec, weights: Path | None, device: str) -> Describer:
    """What gives a method's features.  NotApplicable, with the reason, where it or its front-end must be fitted first.

    weights: the folder of weights files that the user named.  device: of networks, ``auto``, ``cpu`` or ``cuda``.
    """
    frontend = spec.frontend.attributes if spec.frontend else {}
    if spec.frontend and (frontend.get("learns") or frontend.get("ratio_dependent")):
        raise NotApplicable(
            f"{spec.frontend.name} has a model for each down-sampling ratio, and pictures have none: leave it out, or"
            " take a front-end that is the same for all"
        )
    with failing(spec):
        return Describer(spec, spec.build().descriptors(weights, device))


@contextmanager
def failing(spec: MethodSpec) -> Iterator[None]:
    """Make of whatever a plug-in raises an error of one line."""
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"{spec.text} failed: {describe(error)}") from error


def write_features(path: Path, names: Sequence[str], blocks: Iterable[np.ndarray], about: Mapping[str, object]) -> int:
    """Write an ``.npz`` without pickle: features (n, d) float32, names (n,) and about, JSON text; returns d.

    One block is in memory at a time.  BenchError where the file cannot be written; then there is none.
    """
    rows = tqdm(total=len(names), desc="describing", file=sys.stderr, disable=None, delay=1, leave=False, unit="image")
    with rows, writing(path) as file, zipfile.ZipFile(file, "w") as archive:
        left = iter(blocks)
        first = next(left)
        with archive.open("features.npy", "w", force_zip64=True) as member:
            member.write(header(np.dtype("<f4"), (len(names), first.shape[1])))
            for block in chain([first], left):
                if block.shape[1] != first.shape[1]:
                    raise BenchError(f"features of {block.shape[1]} numbers after others of {first.shape[1]}")
                member.write(np.ascontiguousarray(block, "<f4").data)
                rows.update(len(block))
        for name, value in (("names", list(names)), ("about", json.dumps(about))):
            content = io.BytesIO()
            np.save(content, np.array(value), allow_pickle=False)
            archive.writestr(f"{name}.npy", content.getvalue())
    return int(first.shape[1])
