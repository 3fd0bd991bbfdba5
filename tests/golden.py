"""Golden numbers: a small cell for every plug-in and every step that a number passes, compared with stored values.

A number that moves while its versions stay is a mistake or a forgotten version; ``tests/test_golden.py`` says which.
``python -m tests.golden`` renews ``golden.json`` where a version was raised, and refuses where none was.  An entry
whose cell is drawn in another way here is deleted from the file by hand and written again by the same command.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.identity import parts, uses
from bench.plugin.registry import Plugin, registry
from tests import golden_parts, golden_plugins

STORED = Path(__file__).with_suffix(".json")
CLOSED_FORM = 1e-9
"""Relative.  Measured between AVX-512 and AVX2 code of BLAS and numpy: 1e-11 at most."""
TRAINED = 1e-4
"""Relative, of networks in float32: convolutions sum in another order on another processor.  Measured: 5e-6."""
ITERATED = {"sdf": 2e-3}
"""Relative, of a solver that stops at a tolerance of its own, one step earlier or later.  Measured: 3e-4."""
KINDS = {"method": "method", "frontend": "front-end", "dataset": "data set"}

Values = list[float | str]


@dataclass(frozen=True)
class Entry:
    """One small cell.  versions: of all that it depends on; where: what to edit to raise the first of them."""

    name: str
    versions: dict[str, int]
    where: str
    tolerance: float
    compute: Callable[[], Values]


def entries() -> Iterator[Entry]:
    """Parts before plug-ins, so that what moved first is named first."""
    for part, version in sorted(parts().items()):
        compute = golden_parts.PARTS.get(part, missing(part))
        allowed = TRAINED if part in golden_parts.TRAINED else CLOSED_FORM
        yield Entry(f"part {part}", {part: version}, f'PART = ("{part}", {version})', allowed, compute)
    for plugin in sorted(registry().plugins, key=lambda p: (p.kind, p.name)):
        own = int(str(plugin.attributes.get("version", 1)))
        versions = {plugin.name: own, **{part: parts()[part] for part in uses(plugin)}}
        where = f"`version` of {plugin.class_name} in {plugin.module.replace('.', '/')}.py"
        allowed = TRAINED if plugin.attributes.get("profiles") else ITERATED.get(plugin.name, CLOSED_FORM)
        name = f"{KINDS[plugin.kind]} {plugin.name}"
        yield Entry(name, versions, where, allowed, of_plugin(plugin))


def missing(part: str) -> Callable[[], Values]:
    def fail() -> Values:
        raise AssertionError(f"part {part} has no small cell: add a function of that name to tests/golden_parts.py")

    return fail


def of_plugin(plugin: Plugin) -> Callable[[], Values]:
    return lambda: getattr(golden_plugins, plugin.kind)(plugin)


def difference(now: Values, stored: Values) -> float:
    """The largest difference, in units of the largest stored number; infinite where texts or lengths differ."""
    texts = [[v for v in values if isinstance(v, str)] for values in (now, stored)]
    numbers = [np.array([v for v in values if not isinstance(v, str)], float) for values in (now, stored)]
    if texts[0] != texts[1] or len(numbers[0]) != len(numbers[1]):
        return float("inf")
    if not len(numbers[0]):
        return 0.0
    scale = np.maximum(np.abs(numbers[1]), 1e-3 * np.abs(numbers[1]).max())
    return float((np.abs(numbers[0] - numbers[1]) / np.where(scale > 0, scale, 1)).max())


def fault(entry: Entry, values: Values, stored: dict[str, Any] | None) -> str | None:
    """What is wrong with an entry, and what to do; None where its numbers and versions are the stored ones."""
    if stored is None:
        return f"{entry.name} has no golden numbers: run `python -m tests.golden`"
    before = stored["versions"]
    if lower := [f"{n} {before[n]} -> {v}" for n, v in entry.versions.items() if v < before.get(n, v)]:
        return f"{entry.name}: a version went down ({', '.join(lower)}); versions only rise"
    moved = difference(values, stored["values"])
    raised = entry.versions != before
    if not moved <= entry.tolerance and not raised:
        return (
            f"{entry.name}: its numbers moved (by {moved:.2g}, {entry.tolerance:g} allowed) and its version did not;"
            f" if they are meant to, raise {entry.where} and run `python -m tests.golden`, else undo the change"
        )
    if raised:
        return f"{entry.name}: its versions are {entry.versions}, golden ones {before}: run `python -m tests.golden`"
    return None


def read() -> dict[str, Any]:
    return json.loads(STORED.read_text()) if STORED.exists() else {}


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and torch on one thread, which settles the order of sums."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def renew(names: Sequence[str]) -> int:
    """Write what is new or has a higher version; 1 where numbers moved under the versions that they had."""
    wanted = list(entries())
    stored = {entry.name: read().get(entry.name) for entry in wanted}
    refused = []
    with one_thread():
        for entry in wanted:
            if names and entry.name not in names:
                continue
            before, values = stored[entry.name], entry.compute()
            if before is None or any(entry.versions[n] > before["versions"].get(n, 0) for n in entry.versions):
                stored[entry.name] = {"versions": entry.versions, "values": values}
                print(f"{entry.name}: written")
            elif problem := fault(entry, values, before):
                refused.append(problem)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(stored.items()) if value]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(*refused, sep="\n", end="\n" if refused else "", file=sys.stderr)
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(renew(sys.argv[1:]))
