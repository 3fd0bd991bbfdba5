"""What this machine has: versions, cores, GPU, disk, weights, cache and results, and of every data set what is there,
what is missing and what looks wrong."""

import hashlib
import io
import os
import shutil
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_info

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import decode, folder_of, list_photos, load
from bench.engine.provenance import environment
from bench.engine.run import resolve_device
from bench.engine.store import Store
from bench.errors import BenchError, DataError, listing
from bench.plugin.base import Dataset, Photo
from bench.plugin.registry import registry
from bench.plugin.spec import DatasetSpec, dataset_spec
from bench.plugin.weights_files import SUFFIXES, sha256, weights_folder

COUNTED = {"images": "images", "identities": "people", "cameras": "cameras"}


def examine(root: Path | None, results: Path, names: Sequence[str] = (), weights: Path | None = None) -> dict[str, Any]:
    """JSON-ready findings; every data set found, or every one of `names`, is read and checked whole.

    UsageError for a name that is none; a data set that is missing or damaged is a finding, not an error.
    """
    cache = Cache(cache_folder())
    specs = [dataset_spec(name) for name in names]
    finished, problems = Store(results).read_all()
    return {
        **environment(),
        "device": resolve_device("auto"),
        "gpus": gpus(),
        "threads": {
            name: os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name in os.environ
        },
        "blas": sorted({f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in threadpool_info()}),
        "data": str(root) if root else None,
        "datasets": (
            {spec.text: examine_dataset(spec, root, cache) for spec in specs}
            if specs
            else {name: examine_by_name(name, root, cache) for name in registry().names("dataset")}
        ),
        "weights": examine_weights(weights),
        "cache": {"folder": str(cache.folder), "mib": folder_mib(cache.folder), "free_gib": free_gib(cache.folder)},
        "results": {
            "folder": str(results),
            "finished": len(finished),
            "unreadable": problems,
            "free_gib": free_gib(results),
        },
        "plugin_problems": list(registry().problems),
    }


def examine_by_name(name: str, root: Path | None, cache: Cache) -> dict[str, Any]:
    """As `examine_dataset`; a data set whose plug-in cannot be loaded is a finding too."""
    try:
        return examine_dataset(dataset_spec(name), root, cache)
    except BenchError as error:
        return {"ready": False, "reason": str(error)}


def examine_dataset(spec: DatasetSpec, root: Path | None, cache: Cache) -> dict[str, Any]:
    """What is there of a data set, beside what should be, and the first reason why it cannot be used."""
    dataset, attributes = spec.build(), spec.dataset.attributes
    expected = {**dataset.expected, **({"cameras": attributes["cameras"]} if "cameras" in attributes else {})}
    found: dict[str, Any] = {
        "ready": False,
        "folder": str(root / dataset.folder) if root and dataset.folder else dataset.folder,
        "obtain": dataset.obtain,
        "terms": attributes.get("terms", ""),
        "expected": expected,
    }
    try:
        photos = list_photos(dataset, root)
    except DataError as error:
        photos = photos_until_fault(dataset, root)
        return found | census(photos) | {"reason": str(error), "unreadable": unreadable(photos, dataset.name)}
    found |= census(photos)
    try:
        data = load(spec, root, 0, cache)
    except DataError as error:
        return found | {"reason": str(error), "unreadable": unreadable(photos, dataset.name)}
    return found | {
        "ready": True,
        "probe_images": int(data.probe.sum()),
        "official_splits": len(data.splits) if data.splits is not None else None,
        "sha256": data.sha256,
    }


def photos_until_fault(dataset: Dataset, root: Path | None) -> list[Photo]:
    """The images that a reader yields before it stumbles."""
    photos: list[Photo] = []
    try:
        for photo in dataset.read(folder_of(dataset, root)):
            photos.append(photo)
    except Exception:  # a reader is a plug-in, and what it stumbles over is told already
        pass
    return photos


def census(photos: Iterable[Photo]) -> dict[str, Any]:
    """Counts, range of sizes, people seen by one camera only, and images that two identities share.

    Sizes come from the images' headers; one that has none is left to `unreadable`.
    """
    images, distractors = 0, set[str]()
    cameras: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    sizes = set[tuple[int, int]]()
    for photo in photos:
        images += 1
        identity = str(photo.identity)
        if photo.distractor:
            distractors.add(identity)
        else:
            cameras[identity].add(photo.camera)
        content, size = content_of(photo)
        if content:
            owners[hashlib.sha256(content).hexdigest()].setdefault(identity, label_of(photo))
        if size:
            sizes.add(size)
    every = set().union(*cameras.values()) if cameras else set()
    heights, widths = {height for height, _ in sizes}, {width for _, width in sizes}
    return {
        "images": images,
        "identities": len(cameras),
        "cameras": len(every),
        "distractors": len(distractors),
        "heights": [min(heights), max(heights)] if heights else None,
        "widths": [min(widths), max(widths)] if widths else None,
        "one_camera": sorted(person for person, seen in cameras.items() if len(seen) == 1) if len(every) > 1 else [],
        "shared": sorted(sorted(same.values()) for same in owners.values() if len(same) > 1),
    }


def content_of(photo: Photo) -> tuple[bytes, tuple[int, int] | None]:
    """An image's bytes and (height, width); nothing, or no size, where they cannot be had."""
    if isinstance(photo.image, np.ndarray):
        return photo.image.tobytes(), photo.image.shape[:2]
    try:
        content = photo.image.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(content)) as image:
                return content, (image.height, image.width)
    except Exception:  # Pillow raises many kinds for damaged files; `unreadable` tells of them
        return b"", None


def label_of(photo: Photo) -> str:
    where = photo.image.name if isinstance(photo.image, Path) else f"an image of camera {photo.camera}"
    return f"{where} (person {photo.identity})"


def unreadable(photos: Iterable[Photo], name: str) -> list[str]:
    """One line for each image that does not decode."""
    found = []
    for photo in photos:
        try:
            decode(photo, name)
        except DataError as error:
            found.append(str(error))
    return found


def examine_weights(given: Path | None) -> dict[str, Any]:
    """The weights files below the folder, each with its SHA-256 and size."""
    try:
        folder = weights_folder(given)
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()) if folder else []
        return {
            "folder": str(folder) if folder else None,
            "files": [
                {"name": str(p.relative_to(folder)), "mib": round(p.stat().st_size / 2**20, 1), "sha256": sha256(p)}
                for p in files
                if folder
            ],
        }
    except DataError as error:
        return {"folder": str(given) if given else None, "files": [], "problem": str(error)}


def gpus() -> list[dict[str, Any]]:
    """The GPUs that PyTorch sees."""
    try:
        import torch
    except ImportError:
        return []
    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [{"name": p.name, "memory_gib": round(p.total_memory / 2**30, 1), "cuda": torch.version.cuda} for p in found]


def folder_mib(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20, 1)


def free_gib(folder: Path) -> float:
    """Free disk space where a folder is or will be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return round(shutil.disk_usage(there).free / 2**30, 1)


def incomplete(findings: dict[str, Any]) -> list[str]:
    """Why the data sets that cannot be used cannot."""
    return [found["reason"] for found in findings["datasets"].values() if not found["ready"]]


def as_text(findings: dict[str, Any], named: bool = False) -> str:
    """The findings as lines.  named: the data sets were asked for by name; say how to get those that are there too."""
    versions = ", ".join(f"{name} {version}" for name, version in findings["versions"].items())
    gpu_names = "; ".join(f"{g['name']}, {g['memory_gib']} GiB, CUDA {g['cuda']}" for g in findings["gpus"])
    threads = [f"{name}={value}" for name, value in findings["threads"].items()]
    lines = [
        f"machine   {findings['machine']}, {findings['cores']} cores, device {findings['device']}",
        f"gpu       {gpu_names or 'none that PyTorch sees'}",
        f"versions  {versions}",
        f"threads   {'; '.join([*findings['blas'], *threads])}",
        f"commit    {findings['git_commit'] or 'not a git checkout'}",
        f"data      {findings['data'] or 'no folder given (--data or BENCH_DATA)'}",
    ]
    for name, found in findings["datasets"].items():
        first, *others = dataset_lines(found, named)
        lines += [f"  {name:<14} {first}", *(f"  {'':<14} {line}" for line in others)]
    weights, cache, results = findings["weights"], findings["cache"], findings["results"]
    lines.append(
        f"weights   {weights.get('problem') or weights['folder'] or 'no folder given (--weights or BENCH_WEIGHTS)'}"
    )
    lines += [f"  {file['name']}  {file['mib']:,} MiB  {file['sha256']}" for file in weights["files"]]
    lines.append(f"cache     {cache['folder']}, {cache['mib']:,} MiB, {cache['free_gib']:,} GiB free")
    lines.append(
        f"results   {results['folder']}, {results['finished']} finished cells, {results['free_gib']:,} GiB free"
    )
    lines += [f"  {line}" for line in (*results["unreadable"], *findings["plugin_problems"])]
    return "\n".join(lines)


def dataset_lines(found: dict[str, Any], named: bool) -> list[str]:
    """What was found of one data set."""
    lines = []
    if found.get("images"):
        heights, widths = (span(found[key]) for key in ("heights", "widths"))
        others = f", {found['distractors']:,} distractors" if found["distractors"] else ""
        probes = f", {found['probe_images']:,} of them probes" if "probe_images" in found else ""
        lines.append(f"{counts(found)}{others}; height {heights}, width {widths}{probes}")
    if found["ready"]:
        lines[0] = f"ready: {lines[0]}"
    else:
        lines = [f"not ready: {found['reason']}", *(f"found: {line}" for line in lines)]
    lines += [f"does not decode: {line}" for line in found.get("unreadable", [])[:5]]
    if one := found.get("one_camera"):
        lines.append(f"{len(one):,} people are seen by one camera only: {listing(one)}")
    if shared := found.get("shared"):
        lines.append(
            f"{len(shared):,} images are the same under two identities: {listing([' = '.join(s) for s in shared], 3)}"
        )
    obtain = found.get("obtain", "")
    if named and obtain not in found.get("reason", ""):
        lines.append(f"source: {obtain}")
    if found.get("terms") and (named or not found["ready"]):
        lines.append(f"terms: {found['terms']}")
    return lines


def counts(found: dict[str, Any]) -> str:
    """``1,263 of 1,264 images, 632 people, 2 cameras``: found, and of how many where the official count is another."""
    expected = found["expected"]
    wrong = [key for key in expected if expected[key] != found[key]]
    parts = [f"{found[k]:,}{f' of {expected[k]:,}' if k in wrong else ''} {word}" for k, word in COUNTED.items()]
    return ", ".join(parts) + (" as in the release" if expected and not wrong else "")


def span(pair: Sequence[int] | None) -> str:
    if pair is None:
        return "unknown"
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"
