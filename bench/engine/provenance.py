"""What a result was produced by: code, versions, machine, memory."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from bench.engine.record import Computed
from bench.plugin.registry import ROOT

PACKAGES = ("bench", "methods", "datasets")
LIBRARIES = ("numpy", "scipy", "scikit-learn", "pillow", "torch")


@cache
def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers come from."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def described() -> str:
    """Machine, cores, library versions and commit in one line, for a measurement."""
    versions = ", ".join(f"{name} {version}" for name, version in libraries().items())
    return f"{machine()}, {os.cpu_count()} cores, {versions}, commit {git_commit()}"


def computed(threads: int, source: str = "", device: str = "", precision: str = "") -> Computed:
    """By what a cell that is being computed now is computed."""
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Computed(git_commit(), libraries(), machine(), date, threads, source, device, precision)


@cache
def machine() -> str:
    """Processor name and architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or "unknown processor"
    return f"{name} ({platform.system()} {platform.machine()})"


@cache
def git_commit() -> str | None:
    """Commit of the tree, with ``+changes`` where files differ from it or are not in it; None outside a checkout."""
    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return None
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--", *PACKAGES)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()


def usual_memory() -> int | None:
    """Half of the machine's memory in bytes; None where the system does not say how much there is."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def reset_peak_memory() -> None:
    """Start a new peak for `peak_memory`, where the system allows it (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_memory() -> float:
    """Largest resident size in MiB since `reset_peak_memory`, or of the process where the system keeps no other."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**2 if sys.platform == "darwin" else 1024)
