"""`bench prepare`: everything is in the cache afterwards, once."""

import pytest
from PIL import Image

from bench.engine.cache import cache_folder
from tests.test_bad_input import one_line, write_viper


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_viper(tmp_path_factory.mktemp("data"))


def files() -> dict:
    return {path: path.stat().st_mtime_ns for path in cache_folder().rglob("*.npy")}


def test_says_counts_and_does_nothing_twice(bench, root, monkeypatch) -> None:
    output = bench("prepare", "mlr_viper", "synthetic[identities=8]", "--data", root)
    assert output.code == 0
    lines = output.out.splitlines()
    assert lines[0].startswith(
        "mlr_viper: 1,264 images of 632 people, 632 of the probe side at low resolution, sizes 12x"
    )
    assert lines[1].startswith("synthetic[identities=8]: 16 images of 8 people, 8 of the probe side at low resolution")
    before = files()
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("an image was decoded again"))
    assert bench("prepare", "mlr_viper", "--data", root).code == 0
    assert files() == before


def test_one_that_is_missing_stops_no_other(bench, root) -> None:
    output = bench("prepare", "caviar", "viper", "--data", root)
    one_line(output, 3, "no folder", "CAVIAR4REID")
    assert output.out.startswith("viper: 1,264 images of 632 people, 632 of the probe side, sizes 48x128; ")


def test_a_glob_skips_what_is_not_there(bench, root) -> None:
    output = bench("prepare", "*viper", "cavia*", "--data", root)
    assert output.code == 0
    assert "skipped: caviar: no folder" in output.out
    assert "mlr_viper: 1,264 images" in output.out


def test_an_unknown_name(bench, root) -> None:
    one_line(bench("prepare", "viper", "vipr", "--data", root), 2, "did you mean 'viper'?")
