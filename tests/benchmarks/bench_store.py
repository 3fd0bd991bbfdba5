"""How a store grows: reading it, finding cells in it and writing to it, with files and with the same JSON in SQLite.

``python -m tests.benchmarks.bench_store [--sizes 1000 3000 10000 30000 100000] [--deep] [--folder DIR]
[--csv FILE]``; one process, seconds on the clock and those of the processor, of which the exponents are.  Rows of ten
splits, a folder of results each; ``--deep``: one row of as many splits and seeds, all in one folder.  DIR, in which the
store is made, says which file system is measured.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import msgspec

from bench.engine.cache import Cache
from bench.engine.identity import Cell, depends_of
from bench.engine.plan import Settings, Task
from bench.engine.provenance import described
from bench.engine.record import FORMAT, File
from bench.engine.snapshot import Snapshot
from bench.engine.store import Store
from bench.engine.todo import todo
from bench.plugin.spec import method_spec
from bench.report.status import as_text, summarise
from tests.benchmarks.growth import keep
from tests.cells import record

SOME = 200
"""Cells that are written to a store of each size."""
CURVE = tuple(k / 50 for k in range(1, 51))


def cells(count: int, deep: bool) -> Iterator[Cell]:
    depends = dict(depends_of("bicubic+xqda", "caviar"))
    for k in range(count):
        if deep:
            yield Cell("bicubic+xqda", "caviar", k % 1000, k // 1000, "paper", "d" * 64, (), depends)
        else:
            yield Cell(f"bicubic+xqda[ridge={k // 10 + 1}]", "caviar", k % 10, 0, "paper", "d" * 64, (), depends)


def content(cell: Cell) -> bytes:
    found = msgspec.to_builtins(record([0], cmc=CURVE, probe_ranks=(1.0,) * 50))
    parts = {"format": FORMAT, "fingerprint": cell.fingerprint, "cell": asdict(cell), "record": found}
    return msgspec.json.encode(parts)


def fill(store: Store, some: list[Cell], database: Path) -> None:
    with sqlite3.connect(database) as rows:
        rows.execute("create table if not exists cells (fingerprint text primary key, place text, json blob)")
        for cell in some:
            path, text = store.path(cell), content(cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            rows.execute("insert into cells values (?, ?, ?)", (cell.fingerprint, str(path.parent), text))
        rows.execute("create index if not exists places on cells (place)")


def actions(store: Store, here: list[Cell], more: list[Cell], database: Path) -> dict[str, Callable[[], object]]:
    """What is timed, each once for all cells but for what is written: `SOME`."""
    settings = Settings(store, Cache(store.folder.parent / "cache"), None)
    spec = method_spec("bicubic+xqda")
    tasks, missing = (
        [Task(cell, spec, None) for cell in chosen]  # type: ignore[arg-type]
        for chosen in (here, [replace(cell, data="e" * 64) for cell in here])
    )

    def put() -> None:
        seen = Snapshot(store.folder)
        for cell in more:
            store.put(cell, record([0], cmc=CURVE), {}, None, seen.at_place(cell))
            store.remove_workspaces(cell)

    def put_rows() -> None:
        rows = sqlite3.connect(database)
        for cell in more:
            with rows:
                rows.execute("insert or replace into cells values (?, '', ?)", (cell.fingerprint, content(cell)))

    def read_rows() -> int:
        with sqlite3.connect(database) as rows:
            return sum(
                msgspec.json.decode(text, type=File).cell.cell().fingerprint == key
                for key, text in rows.execute("select fingerprint, json from cells order by place")
            )

    def find_rows() -> int:
        with sqlite3.connect(database) as rows:
            find = "select json from cells where fingerprint = ?"
            return sum(
                msgspec.json.decode(rows.execute(find, (c.fingerprint,)).fetchone()[0], type=File).record is not None
                for c in here
            )

    return {
        "list": lambda: sum(1 for _ in store.files()),
        "read": lambda: len(store.read_all()[0]),
        "read, SQLite": read_rows,
        "status": lambda: as_text(summarise(store.read_all(failures=True)[0])),
        "run, all finished": lambda: todo(tasks, settings).finished,
        "run, all finished, SQLite": find_rows,
        "run, none finished": lambda: len(todo(missing, settings).pending),
        f"write {SOME}": put,
        f"write {SOME}, SQLite": put_rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 3_000, 10_000, 30_000, 100_000])
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    print(described())
    sizes, times = options.sizes, dict[str, list[tuple[float, float]]]()
    every = list(cells(max(sizes) + SOME, options.deep))
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            store, database = Store(Path(folder) / "store"), Path(folder) / "cells.sqlite"
            fill(store, every[:size], database)
            for name, action in actions(store, every[:size], every[size : size + SOME], database).items():
                clock, work = time.perf_counter(), time.process_time()
                action()
                times.setdefault(name, []).append((time.perf_counter() - clock, time.process_time() - work))
        print(f"{size:,} cells:", *(f"{n} {t[-1][0]:.2f} ({t[-1][1]:.2f}) s," for n, t in times.items()), flush=True)
    for name, spent in times.items():
        work = dict(zip(sizes, (seconds for _, seconds in spent), strict=True))
        keep(options.csv, f"store{', deep' if options.deep else ''}: {name}", "cells", work)


if __name__ == "__main__":
    main()
