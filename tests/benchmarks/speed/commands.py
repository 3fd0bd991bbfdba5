"""Commands as processes: the command line's own, and plain scripts that do the same."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.plugin.registry import ROOT


def python(*words: object) -> subprocess.CompletedProcess[str]:
    """Run Python from the root of the clone; BenchError, with the last line that it wrote, where it fails."""
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise BenchError(f"{shortened(words)} ended with exit code {done.returncode}: {last}")
    return done


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    return python("-m", "bench", *words)


def shortened(words: Sequence[object]) -> str:
    return " ".join("python ... " if "\n" in str(word) else str(word) for word in words[:6])


def stored(folder: Path) -> str:
    """The glob of a store's finished cells, for plain scripts."""
    return str(folder / "*" / "*" / "split*.json")
