"""Weights files that training starts from, made from images of one's own: ``python -m bench pretrain``."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from bench.engine.cache import Cache
from bench.engine.data import list_photos, natural_order, originals
from bench.engine.decode import SUFFIXES
from bench.errors import DataError, NotApplicable, UsageError
from bench.plugin.base import Dataset, Photo, Trained
from bench.plugin.grammar import split_text
from bench.plugin.pretraining import Pretraining
from bench.plugin.registry import Plugin, registry, unknown
from bench.plugin.spec import dataset_spec, distribute
from bench.protocol.images import Packed, digest


@dataclass(frozen=True)
class Job:
    """A pre-training.  trained: a method's or front-end's recipe; source: what the images are, for files' headers."""

    trained: Trained
    images: Packed
    identity: np.ndarray | None
    source: str


def make_job(
    name: str, dataset: str | None, folder: Path | None, root: Path | None, cache: Cache, start: Path | None = None
) -> Job:
    """Read the images of a data set's training part, or of a folder of any images.

    name: a method or front-end with its recipe's parameters, ``dgd[images=50000]``.  start: the recipe's parameter of
    that name, a weights file to go on from.

    UsageError for a name that cannot be pre-trained or lacks what it needs; DataError for images that cannot be read.
    """
    trained = make_recipe(name, start)
    if (dataset is None) == (folder is None):
        raise UsageError("say what to train on: either --dataset NAME or --images FOLDER")
    if dataset is not None:
        spec = dataset_spec(dataset)
        built = spec.build()
        photos = list_photos(built, root, training=True)
        # Who tests with the weights must be able to see whom they know.
        part = "all its people" if type(built).training is Dataset.training else "training part"
        order = natural_order({photo.identity for photo in photos})
        labels = np.array([order[photo.identity] for photo in photos], np.int64)
        return Job(trained, decoded(photos, spec.text, cache), labels, f"{spec.text}, {part}")
    photos = [Photo(path, "", "") for path in image_files(Path(str(folder)))]
    return Job(trained, decoded(photos, "images", cache), None, f"{len(photos)} images of {folder}")


def decoded(photos: list[Photo], name: str, cache: Cache) -> Packed:
    """The photos' pixels, decoded once and kept in the cache."""
    return originals(photos, name, cache)[1]


def make_recipe(text: str, start: Path | None = None) -> Trained:
    """The recipe of the method or front-end of that name, with its parameters' values; no other plug-in is loaded."""
    name, pairs = split_text(text)
    if start is not None:
        pairs = {**pairs, "start": str(start)}
    plugins = {p.name: p for p in registry().plugins if p.kind != "dataset"}
    if name not in plugins:
        raise unknown(
            "method or front-end to pre-train", name, [n for n, p in sorted(plugins.items()) if can_pretrain(p)]
        )
    kind = recipe_of(plugins[name])
    if kind is None:
        raise UsageError(f"{name} has nothing to pre-train")
    (parameters,) = distribute(name, pairs, [(name, kind)])
    return kind(**parameters)


def recipe_of(plugin: Plugin) -> type[Trained] | None:
    """The class that pre-trains for a method or front-end; None where there is none."""
    loaded: type[Trained] = plugin.load()
    recipe = loaded.recipe()
    return None if recipe.pretrain is Trained.pretrain else recipe


def can_pretrain(plugin: Plugin) -> bool:
    """Whether it says how; one that cannot be loaded does not."""
    try:
        return recipe_of(plugin) is not None
    except NotApplicable:
        return False


def image_files(folder: Path) -> list[Path]:
    """Every image file below a folder, in name order; DataError where there is none."""
    if not folder.is_dir():
        raise DataError(f"--images {folder} is not a folder; name one that holds images")
    paths = sorted(p for p in folder.rglob("[!.]*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise DataError(f"no image below {folder}: files that end in {', '.join(SUFFIXES)} are looked for")
    return paths


def run(
    job: Job,
    output: Path,
    seed: int,
    profile: str,
    device: str,
    report: Callable[[str], None],
    compile: bool = False,
    deterministic: bool = False,
) -> list[Path]:
    """Train, write a safetensors file for each network and return their paths.

    A killed training goes on from its checkpoint when it is given the same command; checkpoints lie in `output` until
    the end.  The log, ``NAME.jsonl``, stays there.
    """
    from bench.learning.progress import Log
    from bench.learning.weights import save_weights

    about = digest(job.images.flat, job.images.shapes, job.identity, seed, profile, repr(job.trained))
    workspace = output / f"{job.trained.name}-{about}.checkpoints"
    given = Pretraining(
        job.images,
        job.identity,
        seed,
        profile,
        device,
        workspace,
        report,
        compile,
        deterministic,
        Log(output / f"{job.trained.name}.jsonl"),
    )
    recipe = " ".join(repr(job.trained).split())
    paths = []
    with held(workspace):
        for stem, network in job.trained.pretrain(given).items():
            paths.append(output / f"{stem}.safetensors")
            save_weights(paths[-1], network, trained_on=job.source, recipe=recipe, profile=profile, seed=str(seed))
        shutil.rmtree(workspace, ignore_errors=True)
    return paths


@contextmanager
def held(workspace: Path) -> Iterator[None]:
    """Keep others from a training's folder; UsageError where one is at it, and where it cannot be made."""
    lock = FileLock(workspace / "lock")
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(f"another process is at this training in {workspace.parent}: wait for it to end") from error
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot write to {workspace.parent}: {reason}; choose another --output") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def live_line() -> Iterator[Callable[[str], None]]:
    """Show the latest line: on a terminal in place of the one before, elsewhere a line every ten seconds."""
    terminal, last = sys.stdout.isatty(), -math.inf

    def report(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= (0.5 if terminal else 10.0):
            last = time.monotonic()
            print(f"\r\x1b[K{line}" if terminal else line, end="" if terminal else "\n", flush=True)

    try:
        yield report
    finally:
        if terminal and last > -math.inf:
            print(flush=True)
