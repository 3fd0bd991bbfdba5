"""Ranked lists: from a stored cell to the images that it names."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from bench.engine.store import Store

pytestmark = pytest.mark.usefixtures("contract_holds")
PEOPLE = ["ann", "=cmd()", "carl", "dora", "emil", "finn", "gwen", "hugo"]
SPLIT = "split,identity,part\n" + "".join(f"0,{p},{'train' if i < 4 else 'test'}\n" for i, p in enumerate(PEOPLE))
OPTIONS = "[file={0}/people.csv,split_file={0}/split.csv]"


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """A manifest of plain images: everybody of a grey of their own, nearest to the next person's."""
    folder = tmp_path_factory.mktemp("people")
    lines = ["path,person,camera,resolution"]
    for i, person in enumerate(PEOPLE):
        for camera, resolution, grey in (("+a", "lr", 20 * i), ("b", "hr", 20 * i + 12)):
            name = f"{resolution}/{i}.png"
            (folder / resolution).mkdir(exist_ok=True)
            Image.new("RGB", (8, 16), (grey, grey, grey)).save(folder / name)
            lines.append(f"{name},{person},{camera},{resolution}")
    (folder / "people.csv").write_text("\n".join(lines))
    (folder / "split.csv").write_text(SPLIT)
    (folder / "grey.py").write_text(GREY)
    return folder


GREY = '''
import numpy as np
from bench import Method

class Grey(Method):
    """Distance of mean grey levels, for tests."""
    name = "grey"

    def distances(self, probe, gallery):
        p, g = (side.array().mean((1, 2, 3)) for side in (probe, gallery))
        return np.abs(p[:, None] - g)
'''


@pytest.fixture
def cell(bench, people, tmp_path) -> tuple[Store, list[object]]:
    """A store with one cell, and the arguments that name it."""
    dataset = "lr_manifest" + OPTIONS.format(people)
    where = ["-d", dataset, "--results", tmp_path / "results", "--plugins", people]
    run = bench("run", "-m", "bicubic+grey", "--splits", "0", "--jobs", "1", *where)
    assert run.code == 0, run.err
    return Store(tmp_path / "results"), ["bicubic+grey", *where]


def test_the_file_names_images_people_and_cameras(bench, cell, tmp_path) -> None:
    output = tmp_path / "lists.csv"
    assert bench("ranks", *cell[1], "-o", output).code == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert len(rows) == 4 * 4, "four test people, a small gallery"
    # Probes have greys of 80, 100, ... and gallery images of 92, 112, ...: the nearest is one's own or the one before.
    first = [row for row in rows if row["probe"] == "lr/4.png"]
    assert [row["gallery"] for row in first] == [f"hr/{i}.png" for i in (4, 5, 6, 7)]
    second = [row for row in rows if row["probe"] == "lr/5.png"]
    assert [row["gallery"] for row in second] == [f"hr/{i}.png" for i in (4, 5, 6, 7)]
    assert [(row["gallery_identity"], row["right"]) for row in second[:2]] == [("emil", "false"), ("finn", "true")]
    assert {row["place"] for row in second} == {"1", "2", "3", "4"}
    assert {(row["probe_identity"], row["probe_camera"], row["match_rank"]) for row in second} == {("finn", "'+a", "2")}


def test_no_name_is_a_formula(bench, people, cell) -> None:
    everybody = bench("ranks", *cell[1]).out
    swapped = (people / "split.csv").read_text().replace("train", "x").replace("test", "train").replace("x", "test")
    (people / "other.csv").write_text(swapped)
    where = [str(a).replace("split.csv", "other.csv") for a in cell[1]]
    assert bench("run", "-m", *where, "--splits", "0", "--jobs", "1").code == 0
    everybody += bench("ranks", *where).out
    fields = [field for row in csv.reader(io.StringIO(everybody)) for field in row]
    assert "'=cmd()" in fields
    assert not [field for field in fields if field.startswith(("=", "+", "-", "@"))]


class TestOneLine:
    def test_a_cell_of_before_says_what_to_run(self, bench, cell) -> None:
        store, where = cell
        (path,) = store.files()
        content = json.loads(path.read_text())
        del content["record"]["nearest"]
        path.write_text(json.dumps(content))
        found = bench("ranks", *where)
        assert (found.code, len(found.err.splitlines())) == (2, 1)
        assert "python -m bench run -m bicubic+grey" in found.err
        assert "--splits 0 --force`" in found.err

    def test_no_cell(self, bench, cell) -> None:
        found = bench("ranks", *cell[1], "--split", "5")
        assert (found.code, len(found.err.splitlines())) == (2, 1)
        assert "python -m bench run -m bicubic+grey" in found.err

    def test_no_table_of_images(self, bench, cell) -> None:
        store, where = cell
        (table,) = store.folder.glob("*/images-*.json")
        table.unlink()
        found = bench("ranks", *where)
        assert (found.code, len(found.err.splitlines())) == (2, 1)
        assert "python -m bench run -m bicubic+grey" in found.err

    def test_lists_of_other_images(self, bench, cell) -> None:
        store, where = cell
        (table,) = store.folder.glob("*/images-*.json")
        content = json.loads(table.read_text())
        content["images"] = content["images"][:-2]
        content["splits"]["0"][1].pop()
        table.write_text(json.dumps(content))
        found = bench("ranks", *where)
        assert (found.code, len(found.err.splitlines())) == (1, 1)
        assert "other probes or gallery images" in found.err
