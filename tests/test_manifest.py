"""Own images listed in a CSV file: what is read, what it is used for, and every fault in one line."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.engine.cache import Cache
from bench.engine.data import load
from bench.errors import DataError
from bench.plugin.spec import dataset_spec
from datasets._manifest import Images, image_path
from datasets.synthetic import draw_person
from tests.test_bad_input import one_line

HEADER = "path,person,camera"
PLAIN = [f"{camera}/{person}.png,{person},{camera}" for person in range(6) for camera in "ab"]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six drawn people, images a/0.png ... b/5.png of 64x24 pixels."""
    for camera in "ab":
        (tmp_path / camera).mkdir()
        for person in range(6):
            Image.fromarray(draw_person(person, camera)[::2, ::2]).save(tmp_path / camera / f"{person}.png")
    return tmp_path


def write(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    file = folder / "people.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def load_manifest(text: str, folder: Path):
    return load(dataset_spec(text), None, 0, Cache(folder / "cache"))


class TestReading:
    def test_first_of_two_cameras_is_the_probe_side(self, folder) -> None:
        data = load_manifest(f"manifest[file={write(folder, PLAIN)}]", folder)
        assert data.identities == ("0", "1", "2", "3", "4", "5")
        assert data.camera[data.probe].tolist() == ["a"] * 6
        assert np.array_equal(data.images[0], draw_person(0, "a")[::2, ::2])

    def test_probe_camera(self, folder) -> None:
        data = load_manifest(f"manifest[file={write(folder, PLAIN)},probe_camera=b]", folder)
        assert data.camera[data.probe].tolist() == ["b"] * 6

    def test_columns_in_any_order_with_a_byte_order_mark_and_blank_lines(self, folder) -> None:
        rows = [",".join(reversed(row.split(","))) for row in PLAIN]
        file = folder / "people.csv"
        file.write_text("\r\n".join(["camera,person,path", "", *rows]), encoding="utf-8-sig")
        assert len(load_manifest(f"manifest[file={file}]", folder).images) == 12

    @settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(order=st.permutations(range(12)))
    def test_order_of_rows_does_not_matter(self, folder, order) -> None:
        rows = [f"{'ab'[i // 6]}/{i % 6}.png,{i % 3},{'ab'[i // 6]}" for i in order]
        shuffled = load_manifest(f"mlr_manifest[file={write(folder, rows)}]", folder)
        rows = [f"{'ab'[i // 6]}/{i % 6}.png,{i % 3},{'ab'[i // 6]}" for i in range(12)]
        assert shuffled.digest == load_manifest(f"mlr_manifest[file={write(folder, rows)}]", folder).digest

    def test_names_outside_ascii(self, folder) -> None:
        (folder / "a" / "0.png").rename(folder / "a" / "ö é.png")
        data = load_manifest(f"manifest[file={write(folder, ['a/ö é.png,0,a', *PLAIN[1:]])}]", folder)
        assert len(data.images) == 12

    def test_resolution_says_the_sides(self, folder) -> None:
        rows = [f"{row},{'hr' if row.startswith('a') else 'lr'}" for row in PLAIN]
        data = load_manifest(f"lr_manifest[file={write(folder, rows, HEADER + ',resolution')}]", folder)
        assert data.camera[data.probe].tolist() == ["b"] * 6
        assert data.low_resolution
        assert all(image.shape == (64, 24, 3) for image in data.images), "genuine low resolution is left as it is"

    def test_mlr_shrinks_the_probe_side(self, folder) -> None:
        data = load_manifest(f"mlr_manifest[file={write(folder, PLAIN)}]", folder)
        assert sorted(data.images[i].shape[0] for i in np.flatnonzero(data.probe)) == [16, 16, 21, 21, 32, 32]
        assert all(data.images[i].shape[0] == 64 for i in np.flatnonzero(~data.probe))

    def test_a_ratio_for_each_image(self, folder) -> None:
        ratios = {f"a/{person}.png": f"1/{2 + person % 3}" for person in range(6)}
        (folder / "ratios.csv").write_text("path,ratio\n" + "".join(f"{k},{v}\n" for k, v in ratios.items()))
        text = f"mlr_manifest[file={write(folder, PLAIN)},ratio_file={folder / 'ratios.csv'}]"
        data = load_manifest(text, folder)
        assert [data.images[i].shape[0] for i in np.flatnonzero(data.probe)] == [32, 21, 16, 32, 21, 16]

    def test_split_column_is_the_one_split(self, folder) -> None:
        rows = [f"{row},{'test' if row.split(',')[1] in '024' else 'train'}" for row in PLAIN]
        data = load_manifest(f"manifest[file={write(folder, rows, HEADER + ',split')}]", folder)
        split = data.split(0, 0)
        assert split.train.tolist() == [1, 3, 5]
        assert split.test.tolist() == [0, 2, 4]

    def test_distractors(self, folder) -> None:
        rows = [f"{row}," for row in PLAIN if row != "a/5.png,5,a"]
        rows[-1] += "distractor"
        data = load_manifest(f"manifest[file={write(folder, rows, HEADER + ',split')}]", folder)
        assert data.identities == ("0", "1", "2", "3", "4")
        assert data.distractors == ("5",)
        assert data.splits is None

    def test_where_the_folder_lies_does_not_matter(self, folder, tmp_path_factory) -> None:
        first = load_manifest(f"manifest[file={write(folder, PLAIN)}]", folder)
        other = folder.rename(tmp_path_factory.mktemp("other") / "moved")
        second = load_manifest(f"manifest[file={other / 'people.csv'}]", other)
        assert first.digest == second.digest
        assert first.spec.text != second.spec.text
        assert second.spec.identity.startswith("manifest[file=sha256:")

    def test_links_inside_the_folder_are_followed(self, folder) -> None:
        (folder / "c").symlink_to(folder / "a")
        rows = [row.replace("a/", "c/") for row in PLAIN]
        assert len(load_manifest(f"manifest[file={write(folder, rows)}]", folder).images) == 12


@pytest.mark.parametrize(
    "text",
    ["a/0.png", "./a//0.png", "a/../b/0.png", "c/0.png", "c/../a/0.png", "again.png", "a/9.png", "9/0.png", "a", "a/.",
     "a/..", "..", "../x/0.png", "out/0.png", "a/0.png/", "a/0.png/1", "/a/0.png", "nul\0.png",
     "nul\0/0.png", "loop/0.png"],
)  # fmt: skip
def test_a_folder_followed_once_leads_where_each_row_does(folder, text, tmp_path_factory) -> None:
    (folder / "c").symlink_to(folder / "a")
    (folder / "again.png").symlink_to(folder / "a" / "0.png")
    (folder / "out").symlink_to(tmp_path_factory.mktemp("outside"))
    (folder / "loop").symlink_to(folder / "loop")

    def found(look: Callable[[str], Path]) -> str:
        try:
            return str(look(text))
        except DataError as error:
            return f"error: {error}"

    images, folder = Images(folder.resolve()), folder.resolve()
    images.path("a/0.png")
    expected = found(lambda text: image_path(folder, text))
    assert [found(images.path) for _ in range(2)] == [expected] * 2
    good = {"a/0.png", "./a//0.png", "a/../b/0.png", "c/0.png", "c/../a/0.png", "again.png", "a/0.png/"}
    assert expected.startswith("error") == (text not in good)


@pytest.mark.parametrize(
    ("name", "method", "options"),
    [
        ("manifest", "xqda", ""),
        ("mlr_manifest", "bicubic+xqda", ",images_per_view=1,gallery_draws=2"),
        ("lr_manifest", "bicubic+xqda", ""),
    ],
)
def test_runs_like_any_other_set(name, method, options, folder, bench) -> None:
    output = bench(
        "run", "-d", f"{name}[file={write(folder, PLAIN)}{options}]", "-m", method, "--splits", "0-1", "--jobs", 1,
        "--results", folder / "results",
    )  # fmt: skip
    assert output.code == 0, output.err
    assert output.out.count(f"{method} {name}[file=sha256:") >= 2, "one line for each split"


class TestFaults:
    """Each ends `doctor` and `run` with exit code 3 and one line that names file and line number."""

    @pytest.fixture
    def fault(self, folder, bench) -> Callable[..., None]:
        def check(file: Path, line: int | None, *words: str, options: str = "") -> None:
            place = f"{file}, line {line}: " if line else str(file)
            spec = f"manifest[file={file}{options}]"
            for command in (("doctor", spec), ("run", "-d", spec, "--splits", 0, "--results", folder / "results")):
                one_line(bench(*command), 3, place, *words)

        return check

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("a/9.png,0,a", ["there is no file"]),
            ("../outside.png,0,a", ["leads outside the manifest's folder"]),
            ("../nowhere.png,0,a", ["leads outside the manifest's folder"]),
            ("link.png,0,a", ["leads outside the manifest's folder"]),
            ("/etc/hostname,0,a", ["/etc/hostname is an absolute path", "relative to"]),
            ("loop.png,0,a", ["'loop.png' cannot be followed"]),
            ("a,0,a", ["is not a file"]),
            ("empty.png,0,a", ["is empty (0 bytes)"]),
            ("nul\0.png,0,a", [""]),
            ("a/0.png,,a", ["no person; each image needs path, person, camera"]),
            ("a/0.png,0,", ["no camera"]),
            ("a/0.png,0", ["2 fields, the header has 3"]),
            ("a/0.png,0,a,b", ["4 fields, the header has 3"]),
            ("b/0.png,0,b", ["b/0.png is listed on line 2 already"]),
            ("a/../b/0.png,0,b", ["a/../b/0.png is listed on line 2 already"]),
            ('a/0.png,"0"x,a', ["not readable as CSV"]),
        ],
    )
    def test_row(self, folder, fault, tmp_path_factory, row, words) -> None:
        outside = tmp_path_factory.mktemp("outside") / "outside.png"
        Image.new("RGB", (2, 2)).save(outside)
        (folder / "link.png").symlink_to(outside)
        Image.new("RGB", (2, 2)).save(folder.parent / "outside.png")
        (folder / "loop.png").symlink_to(folder / "loop2.png")
        (folder / "loop2.png").symlink_to(folder / "loop.png")
        (folder / "empty.png").touch()
        fault(write(folder, [PLAIN[1], row, *PLAIN[2:]]), 3, *words)

    @pytest.mark.parametrize(
        ("header", "words"),
        [
            ("path,person", ["no column camera; the header must be path,person,camera"]),
            ("path,person,camera,resolutoin", ["no column is called 'resolutoin': did you mean 'resolution'?"]),
            ("path;person;camera", ["columns are separated by semicolons; save the manifest with commas"]),
            ("path\tperson\tcamera", ["columns are separated by tabs"]),
            ("path,person,camera,person", ["the column person is there twice"]),
        ],
    )
    def test_header(self, folder, fault, header, words) -> None:
        fault(write(folder, PLAIN, header), 1, *words)

    def test_value_of_another_kind(self, folder, fault) -> None:
        rows = [f"{PLAIN[0]},low", *(f"{row},lr" for row in PLAIN[1:])]
        fault(write(folder, rows, HEADER + ",resolution"), 2, "must be lr or hr, not 'low'")
        rows = [f"{PLAIN[0]},val", *(f"{row}," for row in PLAIN[1:])]
        fault(write(folder, rows, HEADER + ",split"), 2, "must be train or test or", "'val'")

    def test_all_at_once(self, folder, fault) -> None:
        """Labels, paths and sides; of more than twenty the number of the others."""
        rows = [PLAIN[0].replace("a/0", "a/9"), *PLAIN[1:-3], PLAIN[-2]]
        fault(
            write(folder, rows), None,
            ": 3 faults: line 2: there is no file", "line 10: person 4 has no image on the gallery side",
            "; line 11: person 5 has no image on the gallery side",
        )  # fmt: skip
        rows = [",0,a", "a/1.png,,a", "a/2.png,2", *(f"{row}x.png,0,b" for row in range(20))]
        fault(write(folder, rows), None, ": 23 faults: line 2: no path", "line 21: ", "; and 3 more")

    def test_person_in_both_parts(self, folder, fault) -> None:
        rows = [f"{row},train" for row in PLAIN]
        rows[3] = f"{PLAIN[3]},test"
        fault(write(folder, rows, HEADER + ",split"), 5, "person 1 is test here and train on line 4")

    def test_person_in_no_part(self, folder, fault) -> None:
        rows = [f"{row},train" for row in PLAIN[:10]] + [f"{row}," for row in PLAIN[10:]]
        fault(write(folder, rows, HEADER + ",split"), 12, "person 5 has no split")

    def test_person_on_one_side_only(self, folder, fault) -> None:
        fault(write(folder, PLAIN[:-1]), 12, "person 5 has no image on the gallery side")

    def test_distractor_on_the_probe_side(self, folder, fault) -> None:
        rows = [f"{row}," for row in PLAIN if row != "b/5.png,5,b"]
        rows[-1] += "distractor"
        fault(write(folder, rows, HEADER + ",split"), 12, "a distractor is a gallery image")

    def test_unknown_probe_camera(self, folder, fault) -> None:
        fault(
            write(folder, PLAIN), None, "has no camera 'c': give probe_camera, one of a, b", options=",probe_camera=c"
        )

    def test_three_cameras_and_no_probe_camera(self, folder, fault) -> None:
        fault(write(folder, [*PLAIN[:-1], "b/5.png,5,c"]), None, "has 3 cameras and no resolution column", "a, b, c")

    def test_probe_camera_beside_a_resolution_column(self, folder, fault) -> None:
        rows = [f"{row},{'lr' if row.startswith('a') else 'hr'}" for row in PLAIN]
        fault(write(folder, rows, HEADER + ",resolution"), None, "leave probe_camera out", options=",probe_camera=a")

    def test_not_utf8(self, folder, fault) -> None:
        file = write(folder, PLAIN)
        file.write_bytes(file.read_bytes().replace(b"a/1.png", b"a/\xe9.png"))
        fault(file, 4, "not UTF-8 text; save the manifest as UTF-8")

    def test_empty_file_and_header_only(self, folder, fault) -> None:
        fault(write(folder, [], ""), None, "is empty; its first line must be path,person,camera")
        fault(write(folder, []), None, "lists no image below its header")

    def test_missing_file(self, folder, fault) -> None:
        fault(folder / "nowhere.csv", None, "cannot read the manifest", "No such file")

    def test_a_folder(self, folder, fault) -> None:
        fault(folder / "a", None, "cannot read the manifest", "Is a directory")

    def test_undecodable_image(self, folder, bench) -> None:
        (folder / "a" / "3.png").write_bytes(b"not an image")
        output = bench("doctor", f"manifest[file={write(folder, PLAIN)}]")
        one_line(output, 3, f"{folder / 'a' / '3.png'} is not a readable image")

    def test_no_file_given(self, bench) -> None:
        one_line(bench("doctor", "manifest"), 3, "name their list, manifest[file=people.csv]")


def write_viper_manifest(root: Path, folder: Path) -> Path:
    """VIPeR's images, linked below a folder, and their list."""
    with (folder / "viper.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["camera", "path", "person"])
        for camera in "ba":
            (folder / camera).mkdir()
            for path in sorted((root / "VIPeR" / f"cam_{camera}").glob("*.bmp"), reverse=True):
                (folder / camera / path.name).write_bytes(path.read_bytes())
                rows.writerow([camera, f"{camera}/{path.name}", int(path.stem.split("_")[0])])
    return folder / "viper.csv"


@pytest.mark.data
class TestVIPeR:
    def test_is_the_same_data_as_viper(self, data_root, tmp_path) -> None:
        file, cache = write_viper_manifest(data_root, tmp_path), Cache(tmp_path / "cache")
        for own, name in (("manifest", "viper"), ("mlr_manifest", "mlr_viper")):
            ours = load(dataset_spec(f"{own}[file={file}]"), None, 0, cache)
            theirs = load(dataset_spec(name), data_root, 0, cache)
            assert ours.digest == theirs.digest
            assert np.array_equal(ours.images.flat, theirs.images.flat)
            assert all(np.array_equal(ours.split(i, 0).test, theirs.split(i, 0).test) for i in range(10))

    @pytest.mark.slow
    def test_gives_exactly_the_numbers_of_viper(self, data_root, tmp_path, bench) -> None:
        from bench.engine.store import Store

        file = write_viper_manifest(data_root, tmp_path)
        output = bench(
            "run", "-d", f"manifest[file={file}]", "-d", "viper", "-m", "xqda", "--splits", "0-1", "--jobs", 1,
            "--data", data_root, "--results", tmp_path / "results",
        )  # fmt: skip
        assert output.code == 0, output.err
        results, problems = Store(tmp_path / "results").read_all()
        assert not problems
        cmc = {(r.cell.dataset.partition("[")[0], r.cell.split): r.finished.cmc for r in results}
        assert len(cmc) == 4
        for split in (0, 1):
            assert cmc["manifest", split] == cmc["viper", split]
