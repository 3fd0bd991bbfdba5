"""What a result was produced by: code, versions, machine, memory."""

import ast
import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench.plugin.registry import ROOT

PACKAGES = ("bench", "methods", "datasets")
PLUMBING = {
    "bench",
    "bench.errors",
    "bench.engine.cache",
    "bench.learning.precision",
    "bench.engine.provenance",
    "bench.plugin.registry",
    "bench.plugin.spec",
    "bench.learning.weights",
}
"""Modules that carry values about without computing any: a change in them makes no result stale.  Nor does another
choice of the precision for ``auto``, which is the machine's and is recorded with a result."""
LIBRARIES = ("numpy", "scipy", "scikit-learn", "pillow", "torch")


def module_path(module: str) -> Path | None:
    """File of an in-tree module, None for any other."""
    if module.split(".")[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def imported(tree: ast.AST, package: str) -> set[str]:
    """Module names that a file of `package` imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


@cache
def parsed(path: Path) -> tuple[str, frozenset[str]]:
    """The meaning of a file, without comments, docstrings and layout, and what it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return meaning(tree), frozenset(imported(tree, ".".join(path.relative_to(ROOT).parent.parts)))


def meaning(node: object) -> str:
    """An AST as text, the same on every Python version; docstrings and empty fields are left out."""
    if isinstance(node, ast.AST):
        fields = {
            name: getattr(node, name, None) for name in node._fields if name not in ("ctx", "kind", "type_comment")
        }
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            fields["body"] = [s for s in node.body if not is_text(s)]
        return (
            f"{type(node).__name__}({','.join(f'{n}={meaning(v)}' for n, v in fields.items() if v not in (None, []))})"
        )
    if isinstance(node, list):
        return f"[{','.join(map(meaning, node))}]"
    return repr(node)


def is_text(statement: ast.stmt) -> bool:
    """A docstring, or a string used as a note."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@cache
def code_hash(modules: tuple[str, ...]) -> str:
    """Hash of the in-tree code that `modules` consist of, imports followed; comments and docstrings do not count."""
    pending, seen = list(modules), {}
    while pending:
        module = pending.pop()
        path = module_path(module)
        if path and module not in seen and module not in PLUMBING:
            seen[module], imports = parsed(path)
            pending += imports
    return hashlib.sha256("\n".join(f"{m}:{seen[m]}" for m in sorted(seen)).encode()).hexdigest()[:16]


@cache
def environment() -> dict[str, object]:
    """Versions, machine and git commit, for a result file."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"versions": versions, "machine": machine(), "cores": os.cpu_count(), "git_commit": git_commit()}


def machine() -> str:
    """Processor name and architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or "unknown processor"
    return f"{name} ({platform.system()} {platform.machine()})"


def git_commit() -> str | None:
    """Commit of the tree, with ``+changes`` when files differ from it; None outside a checkout."""
    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *PACKAGES)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()


def reset_peak_memory() -> None:
    """Start a new peak for `peak_memory`, where the system allows it (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_memory() -> float:
    """Largest resident size in MiB since `reset_peak_memory`, or of the process where that is not to be had."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**2 if sys.platform == "darwin" else 1024)
