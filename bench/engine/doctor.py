"""What this machine has: versions, cores, GPU, disk, weights, cache and results, and of every data set what is there,
what is missing and what looks wrong."""

import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import Data, arranged, load, originals, photos_of
from bench.engine.decode import decode
from bench.engine.folders import folder_of
from bench.engine.provenance import git_commit, libraries, machine
from bench.engine.store import Store
from bench.errors import BenchError, DataError, counted, listing
from bench.plugin.base import Photo
from bench.plugin.registry import registry
from bench.plugin.spec import DatasetSpec, dataset_spec
from bench.plugin.weights_files import SUFFIXES, sha256, weights_folder

COUNTED = {"images": "image", "identities": "person", "cameras": "camera"}


def examine(root: Path | None, results: Path, names: Sequence[str] = (), weights: Path | None = None) -> dict[str, Any]:
    """JSON-ready findings; every data set found, or every one of `names`, is read and checked whole.

    UsageError for a name that is none; a data set that is missing or damaged is a finding, not an error.
    """
    from bench.learning.device import resolve_device

    cache = Cache(cache_folder())
    specs = [dataset_spec(name) for name in names]
    finished, problems = Store(results).read_all()
    return {
        "versions": libraries(),
        "machine": machine(),
        "cores": os.cpu_count(),
        "git_commit": git_commit(),
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
        "folder": dataset.folder and str(root / dataset.folder if root else dataset.folder),
        "obtain": dataset.obtain,
        "terms": attributes.get("terms", ""),
        "expected": expected,
    }
    photos: list[Photo] = []
    try:
        if dataset.folder is not None:
            found["folder"] = str(folder_of(dataset, root))
        for photo in photos_of(dataset, root):
            photos.append(photo)
        data: Data | None = load(spec, root, 0, cache, photos)
    except DataError as error:
        data, found["reason"] = None, str(error)
    if data is None:
        seen = [look(photo, dataset.name) for photo in photos]
        return found | census(photos, seen) | {"unreadable": [line for _, _, line in seen if line]}
    photos = arranged(photos)
    _, images = originals(photos, dataset.name, cache)
    return {
        **found,
        **census(photos, map(appearance, images)),
        "ready": True,
        "probe_images": int(data.probe.sum()),
        "official_splits": len(data.splits) if data.splits is not None else None,
        "warnings": list(data.warnings),
        "digest": data.digest,
    }


Look = tuple[str, tuple[int, int] | None, str]
"""Of an image: a digest of its pixels, (height, width), and why it does not decode; each empty where it has none."""


def look(photo: Photo, name: str) -> Look:
    try:
        return appearance(decode(photo, name))
    except DataError as error:
        return "", None, str(error)


def appearance(pixels: np.ndarray) -> Look:
    height, width = pixels.shape[:2]
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest(), (height, width), ""


def census(photos: Sequence[Photo], seen: Iterable[Look]) -> dict[str, Any]:
    """Counts, range of sizes, people seen by one camera only, and images that two identities share.

    seen: of each photo.
    """
    distractors = set[str]()
    cameras: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    sizes = set[tuple[int, int]]()
    for photo, (digest, size, _) in zip(photos, seen, strict=True):
        identity = str(photo.identity)
        if photo.distractor:
            distractors.add(identity)
        else:
            cameras[identity].add(photo.camera)
        if size:
            owners[digest].setdefault(identity, label_of(photo))
            sizes.add(size)
    every = set().union(*cameras.values()) if cameras else set()
    heights, widths = {height for height, _ in sizes}, {width for _, width in sizes}
    return {
        "images": len(photos),
        "identities": len(cameras),
        "cameras": len(every),
        "distractors": len(distractors),
        "heights": [min(heights), max(heights)] if heights else None,
        "widths": [min(widths), max(widths)] if widths else None,
        "one_camera": sorted(person for person, by in cameras.items() if len(by) == 1) if len(every) > 1 else [],
        "shared": sorted(sorted(same.values()) for same in owners.values() if len(same) > 1),
    }


def label_of(photo: Photo) -> str:
    where = photo.image.name if isinstance(photo.image, Path) else f"an image of camera {photo.camera}"
    return f"{where} (person {photo.identity})"


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
    where = weights.get("problem") or weights["folder"] or "no folder given (--weights or BENCH_WEIGHTS)"
    lines.append(f"weights   {where}; others come from beside the plug-ins")
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
        others = f", {counted(found['distractors'], 'distractor')}" if found["distractors"] else ""
        probes = f", {counted(found['probe_images'], 'probe')}" if "probe_images" in found else ""
        lines.append(f"{counts(found)}{others}; height {heights}, width {widths}{probes}")
    if found["ready"]:
        lines[0] = f"ready: {lines[0]}"
    else:
        lines = [f"not ready: {found['reason']}", *(f"found: {line}" for line in lines)]
    lines += [f"does not decode: {line}" for line in found.get("unreadable", [])[:5]]
    if one := found.get("one_camera"):
        lines.append(f"seen by one camera only: {counted(len(one), 'person')}: {listing(one)}")
    if shared := found.get("shared"):
        lines.append(
            f"the same under two identities: {counted(len(shared), 'image')}:"
            f" {listing([' = '.join(s) for s in shared], 3)}"
        )
    lines += [f"warning: {line}" for line in found.get("warnings", [])]
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
    parts = [
        f"{found[key]:,} of {counted(expected[key], noun)}" if key in wrong else counted(found[key], noun)
        for key, noun in COUNTED.items()
    ]
    return ", ".join(parts) + (" as in the release" if expected and not wrong else "")


def span(pair: Sequence[int] | None) -> str:
    if pair is None:
        return "unknown"
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"
