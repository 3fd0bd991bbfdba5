"""`bench init-dataset`: a list of images by their names, what is said of it, and names that mean harm."""

import csv
import os
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.cli import build_parser
from bench.engine.listed import find_images, write_list
from bench.engine.naming import Pattern
from bench.errors import BenchError, UsageError
from datasets._manifest import Faults, read_manifest
from datasets.synthetic import draw_person
from tests.test_bad_input import one_line

PATTERN = "{camera}/{identity}_{frame}.png"


@pytest.fixture
def photos(tmp_path) -> Path:
    """Six people under two cameras, two images of the first by camera b: photos/a/p0_0.png ... photos/b/p0_1.png."""
    for camera in "ab":
        (tmp_path / "photos" / camera).mkdir(parents=True)
        for person in range(6):
            image = Image.fromarray(draw_person(person, camera)[::2, ::2])
            image.save(tmp_path / "photos" / camera / f"p{person}_0.png")
    image.save(tmp_path / "photos" / "b" / "p0_1.png")
    return tmp_path / "photos"


@pytest.fixture
def init(bench, photos, monkeypatch):
    """The command, in the folder that holds `photos`."""
    monkeypatch.chdir(photos.parent)
    return lambda *arguments, pattern=PATTERN, output="people.csv": bench(
        "init-dataset", "photos", "--pattern", pattern, "-o", output, *arguments
    )


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


class TestPattern:
    @pytest.mark.parametrize(
        ("pattern", "name", "fields"),
        [
            (PATTERN, "cam 1/anna_7.png", {"camera": "cam 1", "identity": "anna", "frame": "7"}),
            ("{identity:d}_c{camera}s{x}.jpg", "0002_c1s2.jpg", {"identity": "0002", "camera": "1", "x": "2"}),
            ("{identity}_{n:d}.jpg", "anna_maria_7.jpg", {"identity": "anna_maria", "n": "7"}),
            ("{identity}/{identity}_{n}.jpg", "a_b/a_b_7.jpg", {"identity": "a_b", "n": "7"}),
            ("a.b+[c]/{x}.jpg", "a.b+[c]/1.jpg", {"x": "1"}),
            ("a.b/{x}.jpg", "aXb/1.jpg", None),
            (PATTERN, "a/b/anna_7.png", None),
            (PATTERN, "a/_7.png", None),
            (PATTERN, "a/anna_7.PNG", None),
            ("{x:d}.png", "²³.png", None),
        ],
    )
    def test_read(self, pattern, name, fields) -> None:
        reading = Pattern(pattern).read(name)
        assert (reading and reading.fields) == fields
        assert not (reading and reading.other)

    def test_a_name_that_can_be_read_in_two_ways(self) -> None:
        reading = Pattern(PATTERN).read("a/anna_maria_7.png")
        found = [(fields["identity"], fields["frame"]) for fields in (reading.fields, reading.other)]
        assert found == [("anna_maria", "7"), ("anna", "maria_7")]

    @pytest.mark.parametrize(
        "text", ["{camera/{identity}", "{}.jpg", "{a b}", "{a:x}", "{2}", "}{", "/{a}.jpg", "../{a}.jpg", "a//{b}", ""]
    )
    def test_of_another_form(self, text) -> None:
        with pytest.raises(UsageError, match="pattern"):
            Pattern(text)


def test_what_is_listed_said_and_validated(init, photos) -> None:
    (photos / "cover.png").write_bytes(b"")
    (photos / "a" / "notes.txt").write_text("")
    (photos / "a" / "._p0_0.png").write_text("")
    output = init()
    assert (output.code, output.err) == (0, "")
    listed = rows(photos.parent / "people.csv")
    assert listed[:2] == [["path", "person", "camera"], ["photos/a/p0_0.png", "p0", "a"]]
    assert len(listed) == 14
    lines = output.out.splitlines()
    for line in (
        "13 images of 6 people, 2 to 3 images, median 2, a person",
        "2 cameras: a (6), b (7)",
        "such as a/p0_0.png: camera a, identity p0, frame 0",
        "do not fit, left out: 1 image: cover.png",
        "passed over: 1 file that is no image",
        "ready: 13 images, 6 people, 2 cameras; height 64, width 24, 6 probes",
    ):
        assert line in lines
    assert lines[-1] == "next: python -m bench run -d 'mlr_manifest[file=people.csv]' --dry-run"
    build_parser().parse_args(shlex.split(lines[-1])[4:])


def test_sides_and_splits_by_name(init, photos) -> None:
    for camera, side in (("a", "lr"), ("b", "hr")):
        (photos / camera).rename(photos / side)
    output = init("--as", "lr_manifest", pattern="{resolution}/{identity}_{camera}.png")
    assert (output.code, output.err) == (0, "")
    assert rows(photos.parent / "people.csv")[1] == ["photos/hr/p0_0.png", "p0", "0", "hr"]


def test_parameters_of_the_data_set(init, photos) -> None:
    output = init("--as", "manifest[probe_camera=b]", output="photos/people.csv")
    assert output.code == 0
    assert "7 probes" in output.out
    assert "manifest[file=photos/people.csv,probe_camera=b]" in output.out
    assert rows(photos / "people.csv")[1] == ["a/p0_0.png", "p0", "a"]


def test_who_is_seen_by_one_camera_only(init, photos) -> None:
    (photos / "b" / "p5_0.png").unlink()
    output = init()
    one_line(output, 3, "person p5 has no image on the gallery side")
    assert "seen by one camera only: 1 person: p5" in output.out
    assert (photos.parent / "people.csv").is_file(), "to be mended by hand"
    assert init("--min-cameras", 2, output="others.csv").code == 0
    one_line(init("--min-cameras", 3, output="third.csv"), 3, "nobody below photos is seen by 3 cameras")


class TestFaults:
    def test_nothing_is_overwritten(self, init, photos) -> None:
        (photos.parent / "people.csv").write_text("mine")
        one_line(init(), 2, "is there already")
        assert (photos.parent / "people.csv").read_text() == "mine"

    def test_of_the_command(self, init, photos, tmp_path_factory) -> None:
        other = tmp_path_factory.mktemp("other")
        one_line(init(output=other / "people.csv"), 2, "must lie in photos or above it")
        one_line(init(pattern="{camera}/{frame}.png"), 2, "does not say {identity}")
        one_line(init(pattern="{camera}-{identity}.png"), 3, "none of 13 images below photos fits", "a/p0_0.png")
        one_line(init("--as", "caviar"), 2, "caviar reads no list of images: there is")
        one_line(init("--as", "manifest[file=x.csv]"), 2, "leave out file")
        one_line(init("--as", "manifest[probe=b]"), 2, "no parameter of manifest 'probe'")
        assert not list(photos.parent.glob("*.csv"))

    def test_no_folder(self, bench, tmp_path) -> None:
        where = ("--pattern", PATTERN, "-o", tmp_path / "people.csv")
        one_line(bench("init-dataset", tmp_path / "none", *where), 3, "no folder")
        one_line(bench("init-dataset", tmp_path, *where), 3, "no image below")

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("anna_maria_0.png", "identity anna_maria, frame 0 or as camera a, identity anna, frame maria_0"),
            ("=1+1_0.png", "begins like a formula"),
            ("-1_0.png", "begins like a formula"),
            (" anna_0.png", "begins or ends with a space"),
            ("an\nna_0.png", "it holds a control character"),
            ("anna_\x1b[31m.png", "it holds a control character"),
            ("an\u202ena_0.png", "holds what cannot be seen"),
            (os.fsdecode(b"anna\xff_0.png"), "not UTF-8"),
        ],
    )
    def test_names_that_cannot_be_listed(self, init, photos, name, said) -> None:
        (photos / "a" / name).write_bytes((photos / "a" / "p0_0.png").read_bytes())
        output = init()
        one_line(output, 3, "1 name cannot be listed", said)
        assert all(c.isprintable() or c == "\n" for c in output.err)
        assert not (photos.parent / "people.csv").exists()

    def test_names_that_do_not_fit_are_shown_as_text(self, init, photos) -> None:
        for name in ("\x1b[31mred.png", "two\nlines.png", os.fsdecode(b"\xff.png")):
            (photos / "a" / name).write_bytes(b"")
        output = init()
        assert output.code == 0
        assert all(c.isprintable() or c == "\n" for c in output.out)
        assert "left out: 3 images" in output.out

    def test_a_path_like_a_formula(self, init, photos) -> None:
        (photos / "a").rename(photos / "=a")
        output = init(pattern="={camera}/{identity}_{frame}.png", output="photos/people.csv")
        assert output.code == 3, "only the half of the images fits"
        assert rows(photos / "people.csv")[1][0] == "./=a/p0_0.png"
        assert "there is no file" not in output.err

    def test_links_lead_nowhere(self, init, photos, tmp_path_factory) -> None:
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "p9_0.png").write_bytes(b"x")
        (photos / "c").symlink_to(elsewhere)
        (photos / "loop").symlink_to(photos)
        output = init()
        assert output.code == 0
        assert "passed over: 2 links" in output.out
        (photos / "a" / "p9_0.png").symlink_to(elsewhere / "p9_0.png")
        one_line(init(output="more.csv"), 3, "leads outside the manifest's folder")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(camera=st.text(min_size=1, max_size=5), identity=st.text(min_size=1, max_size=8))
def test_any_name_is_refused_or_read_back(tmp_path, camera, identity) -> None:
    folder = tmp_path / "images"
    try:
        path = folder / camera / f"{identity}@0.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    except (OSError, ValueError):
        return  # no name on this system
    output = tmp_path / "list.csv"
    with suppress(BenchError):
        write_list(find_images(folder, "{camera}/{identity}@{n}.png"), output)
    if output.exists():
        (row,) = read_manifest(output, Faults(output))
        assert (row.path, row.camera, row.person) == (path.resolve(), camera, identity)
        output.unlink()
    path.unlink()
