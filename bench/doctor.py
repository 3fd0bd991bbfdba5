"""What this machine has: versions, cores, GPU, data sets, cache and results."""

import os
from pathlib import Path
from typing import Any

from bench.cache import Cache, cache_folder
from bench.data import load
from bench.errors import DataError
from bench.provenance import environment
from bench.registry import registry
from bench.runner import resolve_device
from bench.spec import dataset_spec
from bench.store import Store


def examine(root: Path | None, results: Path) -> dict[str, Any]:
    """JSON-ready findings; every data set found is read and checked whole."""
    cache = Cache(cache_folder())
    datasets = {}
    for name in registry().names("dataset"):
        try:
            data = load(dataset_spec(name), root, 0, cache)
            datasets[name] = {
                "ready": True,
                "images": len(data.images),
                "identities": len(data.identities),
                "probe_images": int(data.probe.sum()),
                "sha256": data.sha256,
            }
        except DataError as error:
            datasets[name] = {"ready": False, "reason": str(error)}
    finished, problems = Store(results).read_all()
    return {
        **environment(),
        "device": resolve_device("auto"),
        "threads": {
            name: os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name in os.environ
        },
        "data": str(root) if root else None,
        "datasets": datasets,
        "cache": {"folder": str(cache.folder), "mib": folder_mib(cache.folder)},
        "results": {"folder": str(results), "finished": len(finished), "unreadable": problems},
        "plugin_problems": list(registry().problems),
    }


def folder_mib(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20, 1)


def as_text(findings: dict[str, Any]) -> str:
    """The findings as lines."""
    versions = ", ".join(f"{name} {version}" for name, version in findings["versions"].items())
    lines = [
        f"machine   {findings['machine']}, {findings['cores']} cores, device {findings['device']}",
        f"versions  {versions}",
        f"commit    {findings['git_commit'] or 'not a git checkout'}",
        f"data      {findings['data'] or 'no folder given (--data or BENCH_DATA)'}",
    ]
    for name, found in findings["datasets"].items():
        if found["ready"]:
            text = (
                f"ready: {found['images']:,} images of {found['identities']:,} people, {found['probe_images']:,} probes"
            )
        else:
            text = f"not here: {found['reason']}"
        lines.append(f"  {name:<12} {text}")
    cache, results = findings["cache"], findings["results"]
    lines.append(f"cache     {cache['folder']}, {cache['mib']:,} MiB")
    lines.append(f"results   {results['folder']}, {results['finished']} finished cells")
    lines += [f"  {line}" for line in (*results["unreadable"], *findings["plugin_problems"])]
    return "\n".join(lines)
