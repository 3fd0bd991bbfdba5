"""``ranks``: the ranked lists of a stored cell as CSV, with the names of the images' files."""

import csv
import io
from argparse import Namespace
from collections.abc import Iterable, Iterator

from bench.cli.output import say
from bench.cli.stores import reading_folders, report_problems
from bench.engine.inventory import Inventory
from bench.engine.ranked import Ranked, ranked_lists
from bench.engine.store import read_stores
from bench.report.escape import for_csv
from bench.report.one import find_cell, images_of, with_lists
from bench.report.render import write_text

COLUMNS = (
    "probe", "probe_identity", "probe_camera", "match_rank",
    "place", "gallery", "gallery_identity", "gallery_camera", "right",
)  # fmt: skip


def ranks_command(options: Namespace) -> int:
    folders = reading_folders(options.results)
    results, problems = read_stores(folders)
    found = find_cell(results, options.method, options.dataset, options.split, options.seed, options.profile)
    result = with_lists(found, options.dataset, folders)
    images = images_of(result, options.dataset, folders)
    text = as_csv(rows(ranked_lists(result, images), images))
    if options.output:
        say(f"wrote {write_text(options.output, text)}")
    else:
        print(text, end="")
    return report_problems(problems)


def rows(ranked: Ranked, images: Inventory) -> Iterator[list[str]]:
    """A row for each probe and place, with the columns `COLUMNS`; an image that is no file is ``#`` and its row."""

    def shown(row: int) -> list[str]:
        photo = images.images[row]
        return [for_csv(text) for text in (photo.name or f"#{row}", photo.identity, photo.camera)]

    for probe, rank, gallery, right in zip(ranked.probe, ranked.rank, ranked.gallery, ranked.right, strict=True):
        of_probe = [*shown(probe), f"{rank:g}"]
        for place, (row, is_right) in enumerate(zip(gallery, right, strict=True), 1):
            yield [*of_probe, str(place), *shown(row), str(bool(is_right)).lower()]


def as_csv(lines: Iterable[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *lines])
    return out.getvalue()
