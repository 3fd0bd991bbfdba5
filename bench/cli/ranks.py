"""``ranks``: the ranked lists of a stored cell as CSV, with the names of the images' files."""

import csv
import io
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.cli.stores import read_cells, reading_folders, report_problems
from bench.report.escape import for_csv

if TYPE_CHECKING:
    from bench.engine.data import Data
    from bench.engine.ranked import Ranked

PROBE = ("probe", "probe_identity", "probe_camera", "match_rank")
LISTED = ("place", "gallery", "gallery_identity", "gallery_camera", "right")


def ranks_command(options: Namespace) -> int:
    from bench.engine.cache import Cache, cache_folder
    from bench.engine.isolation import isolated
    from bench.engine.ranked import load_with_names, ranked_lists
    from bench.plugin.spec import dataset_spec
    from bench.report.one import find_cell, with_lists
    from bench.report.render import write_text

    results, problems = read_cells(options)
    found = find_cell(results, options.method, options.dataset, options.split, options.seed, options.profile)
    result = with_lists(found, options.dataset, reading_folders(options.results))
    with isolated():
        data, names = load_with_names(dataset_spec(options.dataset), options.data, options.seed, Cache(cache_folder()))
    text = as_csv(rows(ranked_lists(result, data), data, names))
    if options.output:
        print(f"wrote {write_text(options.output, text)}", file=sys.stderr)
    else:
        print(text, end="")
    return report_problems(problems)


def rows(ranked: "Ranked", data: "Data", names: Sequence[str]) -> Iterator[list[str]]:
    """A row for each probe and place, with the columns `PROBE` and `LISTED`."""
    labels = (*data.identities, *data.distractors)

    def image(row: int) -> list[str]:
        return [for_csv(text) for text in (names[row], labels[data.identity[row]], str(data.camera[row]))]

    for probe, rank, gallery, right in zip(ranked.probe, ranked.rank, ranked.gallery, ranked.right, strict=True):
        of_probe = [*image(probe), f"{rank:g}"]
        for place, (row, is_right) in enumerate(zip(gallery, right, strict=True), 1):
            yield [*of_probe, str(place), *image(row), str(bool(is_right)).lower()]


def as_csv(lines: Iterator[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[*PROBE, *LISTED], *lines])
    return out.getvalue()
