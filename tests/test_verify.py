"""Stale rows that are vouched for by one split computed anew."""

import json

SMALL = "synthetic[identities=24]"
ROW = ("-m", "bicubic+xqda", "-d", SMALL, "--splits", "0-2", "--jobs", "1")


def stored(folder):
    return {path: json.loads(path.read_text()) for path in sorted(folder.glob("*/*/split*.json"))}


def rewrite(folder, **change):
    for path, content in stored(folder).items():
        path.write_text(json.dumps({**content, **change}))


def test_a_stale_row_that_repeats_stands(bench, tmp_path) -> None:
    bench("run", *ROW, "--results", tmp_path)
    before = stored(tmp_path)
    assert "no stale cell" in bench("run", *ROW, "--results", tmp_path, "--verify").out
    rewrite(tmp_path, code="older")
    output = bench("run", *ROW, "--results", tmp_path, "--verify")
    assert output.code == 0
    assert "repeats; 3 cells stand" in output.out
    after = stored(tmp_path)
    for path, content in after.items():
        mark = content.pop("verified")
        assert mark["computed_by_code"] == "older"
        assert mark["by_split"] in (0, 1, 2)
        assert content == before[path]


def test_a_stale_row_that_differs_is_left_as_it_is(bench, tmp_path) -> None:
    bench("run", *ROW, "--results", tmp_path)
    rewrite(tmp_path, code="older", map=0.123)
    before = stored(tmp_path)
    output = bench("run", *ROW, "--results", tmp_path, "--verify")
    assert output.code == 1
    assert "differs in map; run it with --force" in output.out
    assert stored(tmp_path) == before
