"""Where in a plug-in's file something went wrong, for messages that name file and line."""

import inspect
import sysconfig
import traceback
from pathlib import Path

import bench
from bench.errors import BenchError, visible
from bench.plugin.registry import ROOT

OURS = Path(bench.__file__).resolve().parent
LIBRARIES = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def raised_at(error: BaseException) -> str | None:
    """``methods/name.py, line 12``: the last line of a plug-in that an error passed; None where it passed none."""
    frames = [(Path(frame.filename).resolve(), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    for path, line in reversed(frames):
        if path.is_file() and not any(path.is_relative_to(folder) for folder in (OURS, *LIBRARIES)):
            return f"{shown(path)}, line {line}"
    return None


def describe(error: BaseException) -> str:
    """An error in one line: a plug-in's with the place, ``ValueError: no image (methods/stripes.py, line 12)``."""
    if isinstance(error, BenchError):
        return visible(" ".join(str(error).split()))
    text = visible(" ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":"))
    place = raised_at(error)
    return f"{text} ({place})" if place and place not in text else text


def defined_at(kind: type, function: str) -> str:
    """``methods/name.py, line 12``: where a plug-in's class defines a function, or else the class itself."""
    target = getattr(kind, function, None)
    if target is None or Path(inspect.getfile(target)).resolve().is_relative_to(OURS):
        target = kind
    return f"{shown(Path(inspect.getfile(target)).resolve())}, line {inspect.getsourcelines(target)[1]}"


def shown(path: Path) -> Path:
    """Relative to the tree where it lies in it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
