"""A new plug-in's file, to begin with: commented, and whole enough to keep the contract as it is."""

import importlib.util
import keyword
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError, UsageError
from bench.plugin.registry import KIND_WORDS, ROOT, read_plugins, registry

LONGEST = 60
SHADOWED = ("FrontEnd", "Images", "Method", "Sequence", "Train")
"""Classes that the files below import."""

METHOD = '''"""NAME: say here in a few lines how it works, and where it comes from."""

import numpy as np
from scipy.spatial.distance import cdist

from bench import Method, Train
from bench.protocol.images import Images


class CLASS(Method):
    """Mean colours of horizontal stripes, each scaled by its spread over the training people (this line is listed).

    stripes: how many; a parameter of the constructor is given on the command line as NAME[stripes=4].
    """

    name = "NAME"
    version = 1  # raise it whenever numbers change: stored results of an older version are marked as stale
    input_size = (128, 48)  # (height, width) that every image is brought to
    # scales = "own"        # for a method that deals with low resolution itself and takes no front-end
    # profiles = True       # for a method whose training depends on train.profile: smoke, quick or paper
    # note = "..."          # a line for below the tables

    # Parameters are stored untouched, under their own names; their annotations are what values are checked by.
    def __init__(self, stripes: int = 6) -> None:
        self.stripes = stripes

    def fit(self, train: Train) -> "CLASS":
        """Learn from one split's training people; leave it out where nothing is learned.

        train.gallery holds their high-resolution images, train.probe their low-resolution ones behind the front-end;
        both have .array(), (n, height, width, 3) uint8 RGB, and .identity, (n,) whole numbers.  Draw random numbers
        from np.random.default_rng(train.seed) and from nothing else.  What is learned has a name that ends in _.
        """
        self.spread_ = self.describe(train.gallery + train.probe).std(axis=0) + 1e-6
        return self

    def distances(self, probe: Images, gallery: Images) -> np.ndarray:
        """How unlike each probe and each gallery image are: (probes, gallery), finite, smaller for more alike.

        These images have no .identity, and their order says nothing.
        """
        return cdist(self.describe(probe) / self.spread_, self.describe(gallery) / self.spread_)

    def describe(self, images: Images) -> np.ndarray:
        """(n, d), a row for each image, of that image alone."""
        parts = np.array_split(images.array(), self.stripes, axis=1)
        return np.hstack([part.mean(axis=(1, 2)) for part in parts])
'''

FRONT_END = '''"""NAME: say here in a few lines how it works, and where it comes from."""

from collections.abc import Sequence

import numpy as np

from bench import FrontEnd


class CLASS(FrontEnd):
    """Up-scaling that takes the nearest pixel, mixed with the mean of its row (this line is listed).

    smooth: share of the mean; a parameter of the constructor is given as NAME+method[smooth=0.2].
    """

    name = "NAME"
    version = 1  # raise it whenever pixels change: stored results of an older version are marked as stale
    # ratio_dependent = True  # for one that differs between the ratios 1/2, 1/3 and 1/4: fit then tells it its ratio
    # learns = True  # for one that is fitted, by `fit(self, train)`, which returns self: train.images are the training
    #                # people's high-resolution images; there are train.size, train.ratio and train.seed as well

    # Parameters are stored untouched, under their own names; their annotations are what values are checked by.
    def __init__(self, smooth: float = 0.0) -> None:
        self.smooth = smooth

    def upscale(self, images: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """n uint8 RGB images of any size to (n, height, width, 3) uint8, each by itself."""
        return np.stack([self.upscale_one(image, *size) for image in images])

    def upscale_one(self, image: np.ndarray, height: int, width: int) -> np.ndarray:
        rows = np.arange(height) * image.shape[0] // height
        columns = np.arange(width) * image.shape[1] // width
        nearest = image[rows][:, columns].astype(float)
        mixed = (1 - self.smooth) * nearest + self.smooth * nearest.mean(axis=1, keepdims=True)
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
'''


def write_template(name: str, front_end: bool, folders: Sequence[Path]) -> Path:
    """Write a new method's or front-end's file, named after it; its path.

    folders: of plug-ins outside the tree, of which the first takes the file; the tree's `methods` where there is none.

    UsageError, and nothing written, for a name that is taken or that no plug-in may have.
    """
    check_name(name)
    target = home(folders) / f"{name}.py"
    there = {path.name.casefold() for path in target.parent.glob("*")}
    if target.name.casefold() in there or name.casefold() in there:
        raise UsageError(f"{target} is there already; choose another name, nothing is overwritten")
    text = (FRONT_END if front_end else METHOD).replace("CLASS", class_name(name)).replace("NAME", name)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        if not isinstance(error, FileExistsError):  # half a file would be in the way of the next try
            target.unlink(missing_ok=True)
        raise BenchError(f"cannot write {target}: {error.strerror or error}") from error
    read_plugins.cache_clear()
    return target


def check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UsageError(
            f"{name!r} is no name for a plug-in: small letters, digits and underscores, a letter first, no word of"
            " Python's own"
        )
    if len(name) > LONGEST:
        raise UsageError(f"{name!r} has {len(name)} letters; at most {LONGEST}")
    for plugin in registry().plugins:
        if plugin.name.casefold() == name:
            raise UsageError(f"{name!r} is a {KIND_WORDS[plugin.kind]} already, in {plugin.file}; choose another name")
    if class_name(name) in SHADOWED:
        raise UsageError(f"{name!r} would be a class {class_name(name)}, which hides bench's own; choose another name")
    if name in sys.modules or importlib.util.find_spec(name):
        raise UsageError(f"{name!r} is the name of a module that Python finds here; choose another, to hide none")


def class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def home(folders: Sequence[Path]) -> Path:
    """The folder for a new file.  UsageError for an installed bench without a folder of one's own."""
    if folders:
        first = folders[0].expanduser().resolve()
        return first / "methods" if (first / "methods").is_dir() else first
    if not (ROOT / "bench").is_dir():
        raise UsageError("bench is installed, its own files are not for editing: name a folder with --plugins DIR")
    return ROOT / "methods"
