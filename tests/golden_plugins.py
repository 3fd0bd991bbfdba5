"""Small cells of the plug-ins, each a list of numbers and texts."""

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from unittest.mock import patch

import numpy as np

from bench.plugin.base import Train, Upscaling
from bench.plugin.registry import Plugin
from bench.plugin.spec import accepted, dataset_spec
from tests.golden_data import picture, project, side
from tests.golden_layouts import lay_out

RATIO = Fraction(1, 2)
TRAINING, TEST = range(8), range(20, 26)
SEED = 5


def method(plugin: Plugin) -> list[float | str]:
    """Distances by default and with every other choice of each option; a network's longer schedules up to a batch."""
    kind = plugin.load()
    found: list[float | str] = []
    for options in choices(kind):
        given = train(kind.input_size, "smoke")
        probe, gallery = side(TEST, [3], kind.input_size, "p", 2), side(TEST, [0], kind.input_size, "g")
        with recorded_folds() as folds:
            fitted = kind(**options).fit(given)
        found += [x for fold in folds for x in fold] + project(fitted.distances(probe, gallery))
        losses = (getattr(fitted, "curves_", None) or {}).get("loss", {})
        found += [x for term in sorted(losses) for x in losses[term]]
    return found + schedules(kind, lambda profile: train(kind.input_size, profile))


def frontend(plugin: Plugin) -> list[float | str]:
    kind = plugin.load()
    small = [picture(k, 0, (64 // k, 24 // k)) for k in (2, 3)]
    found: list[float | str] = []
    for options in choices(kind):
        fitted = kind(**options)
        if kind.learns or kind.ratio_dependent:
            fitted.fit(upscaling("smoke"))
        found += project(fitted.upscale(small, (64, 24)))
    return found + schedules(kind, upscaling)


def dataset(plugin: Plugin) -> list[float | str]:
    """What it yields of a small copy in the official layout: labels, sides and splits as a digest, and the first."""
    small = plugin.attributes.get("small")
    with tempfile.TemporaryDirectory() as folder:
        made = dataset_spec(f"{plugin.name}[{small}]" if small else plugin.name).build()
        root = Path(folder)
        with lay_out(made, root):
            photos = list(made.read(root))
            splits = made.splits(root)
        lines = [f"{content(p.image, root)} {p.identity} {p.camera} {p.probe} {p.distractor}" for p in photos]
    halves = [[sorted(map(str, part)) for part in split] for split in splits or ()]
    whole = hashlib.sha256(repr((lines, halves, made.low_resolution, made.probe_camera)).encode()).hexdigest()
    return [len(lines), len(halves), lines[0], lines[-1], whole]


def content(image: Path | np.ndarray, root: Path) -> str:
    if isinstance(image, Path):
        return image.relative_to(root).as_posix()
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


def choices(kind: type) -> Iterator[dict[str, Any]]:
    """The defaults, then every other value of each option that has few; networks in float32, the others briefly."""
    options = accepted(kind)
    base = {"precision": "float32"} if "precision" in options else {}
    yield base
    base |= {"steps": 1, "batch": 2} if {"steps", "batch"} <= set(options) else {}
    for name, (annotation, default) in sorted(options.items(), key=lambda item: item[0]):
        if name in base:
            continue
        values = (not default,) if isinstance(default, bool) else literals(annotation)
        yield from ({**base, name: value} for value in values if value != default)


def literals(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def train(size: tuple[int, int], profile: str) -> Train:
    gallery, synthetic = side(TRAINING, [0, 1], size, "g"), side(TRAINING, [0, 1], size, "g", 2)
    given: Any = (gallery, side(TRAINING, [2, 3], size, "p", 2), synthetic)
    return Train(*given, RATIO, SEED, profile, "cpu")


def upscaling(profile: str) -> Upscaling:
    return Upscaling([picture(k, 0, (64, 24)) for k in range(4)], (64, 24), RATIO, SEED, profile)


@contextmanager
def recorded_folds() -> Iterator[list[list[float]]]:
    """What a method with a grid tried on held-out training people: every entry's distances, projected."""
    from methods import _selection

    score, seen = _selection.single_shot, []

    def recording(distances: np.ndarray, *labels: Any) -> float:
        seen.append(project(distances)[:1])
        return score(distances, *labels)

    with patch.object(_selection, "single_shot", recording):
        yield seen


def schedules(kind: Any, given: Any) -> list[float | str]:
    """Of a plug-in that trains networks: how it would go about its longer schedules, without the training."""
    if not kind.profiles:
        return []
    from bench.learning import training

    asked: list[float | str] = []

    def asking(model, batches, loss, optimiser, schedule, steps, *, accumulate=1, **more):
        settings = [steps, accumulate, sum(p.numel() for p in model.parameters())]
        settings += [schedule(t) for t in (0, steps // 3, steps - 1)]
        for group in optimiser.param_groups:
            settings += [group["lr"], group["weight_decay"], group["momentum"], len(group["params"])]
        asked.append(" ".join(f"{x:.9g}" for x in settings))
        asked.extend(x for tensor in batches(1).values() for x in (len(tensor), *project(tensor[..., ::16].numpy())))
        return {}

    users = [
        m for name, m in sys.modules.items() if name.startswith("methods") and vars(m).get("train") is training.train
    ]
    with ExitStack() as stack:
        for module in users:
            stack.enter_context(patch.object(module, "train", asking))
        for profile in ("quick", "paper"):
            fitted = kind(scratch=True)
            fitted.fit(given(profile))
            rule = fitted.sigma_rule(profile) if hasattr(fitted, "sigma_rule") else None
            asked.extend([rule.fixed or 0.0, rule.folds, rule.held_out] if rule else [])
    return asked
