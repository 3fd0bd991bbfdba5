"""After a change of code that should change no number: compute one split of each stale row anew and compare.

Where ranks and CMC repeat to the last bit, the row's cells are marked as of the code as it is now; the mark names the
split that was computed and the code that the cells had been computed by.  Where they do not, nothing is changed.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.engine.run import Failure, Settings, Task, code_of, compute
from bench.engine.store import Result

COMPARED = ("cmc", "map", "probe_ranks", "sizes", "fusion")


def verify(tasks: Sequence[Task], settings: Settings) -> Iterator[tuple[str, bool]]:
    """For each row with stale cells, a line on what was found and whether all is well.

    Of a row's cells the one that took least time is computed, with the row's own initial weights, data and seed.
    """
    rows: dict[tuple[str, str, str], list[tuple[Task, Result]]] = {}
    for task in tasks:
        found = settings.store.get(task.cell)
        if found and found.record.get("code") != code_of(task.method, task.data.spec):
            row = task.cell.method, task.cell.dataset, str(found.record.get("code"))
            rows.setdefault(row, []).append((task, found))
    for (method, dataset, old), cells in rows.items():
        task, before = min(cells, key=lambda pair: pair[1].record["cost"]["total_seconds"])
        # Sums in another order differ in their last bits: as many threads as before.
        jobs = max(1, (os.cpu_count() or 1) // before.record.get("threads", 1))
        computed = compute(task, replace(settings, jobs=jobs))
        if isinstance(computed, Failure):
            yield f"{task.cell} failed: {computed.message}", False
            continue
        outcome, provenance = computed
        changed = [name for name in COMPARED if outcome.record.get(name) != before.record.get(name)]
        if changed:
            yield (
                f"{method} on {dataset}: split {task.cell.split} differs in {', '.join(changed)}; run it with --force",
                False,
            )
            continue
        for other, result in cells:
            mark = {"code": provenance["code"], "verified": {"by_split": task.cell.split, "computed_by_code": old}}
            settings.store.update(other.cell, {**result.record, **mark})
        yield f"{method} on {dataset}: split {task.cell.split} repeats; {len(cells)} cells stand", True
