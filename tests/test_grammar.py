"""Values that hold the grammar's own characters stand in quotes."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.plugin.grammar import canonical, split_text
from bench.plugin.spec import dataset_spec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('m[file="a,b[1].csv"]', "a,b[1].csv"),
        ('m[ file = "a b.csv" ]', "a b.csv"),
        ('m[file="say ""x"".csv"]', 'say "x".csv'),
        (r"m[file=C:\new\t.csv]", r"C:\new\t.csv"),
        (r'm[file="\"]', "\\"),
        ("m[file=a=b.csv]", "a=b.csv"),
    ],
)
def test_values(text, value) -> None:
    assert split_text(text) == ("m", {"file": value})


@given(st.text(string.printable[:95], min_size=1).filter(lambda text: text.strip()))
def test_canonical_text_reads_back(value) -> None:
    assert split_text(canonical("m", [{"key": value}])) == ("m", {"key": value})


def test_quotes_stand_only_where_they_are_needed() -> None:
    assert canonical("m", [{"file": "/a b/ö'.csv", "flag": True, "n": 3}]) == "m[file=/a b/ö'.csv,flag,n=3]"
    assert canonical("m", [{"file": "a,b"}]) == 'm[file="a,b"]'


@pytest.mark.parametrize(
    "text", ["m[file=a[1].csv]", 'm[file="a]', 'm[file=a"b]', 'm[file="a"b]', 'm["file"=a]', 'm[file=""]', 'm"x"']
)
def test_refused(text) -> None:
    with pytest.raises(UsageError, match="is not of the form") as error:
        split_text(text)
    assert "\n" not in str(error.value)


def test_an_unquoted_bracket_says_how_to_quote() -> None:
    with pytest.raises(UsageError, match="in double quotes"):
        split_text("manifest[file=a,b[1].csv]")


def test_files_of_any_name(tmp_path, monkeypatch) -> None:
    (tmp_path / "a,b[1].csv").write_text("path,person,camera\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    spec = dataset_spec('mlr_manifest[file="~/a,b[1].csv",gallery_draws=2]')
    assert spec.parameters["file"] == tmp_path / "a,b[1].csv"
    assert spec.text == f'mlr_manifest[file="{tmp_path}/a,b[1].csv",gallery_draws=2]'
    assert spec.identity.startswith("mlr_manifest[file=sha256:")
    assert spec.identity.endswith(",gallery_draws=2]")
    assert dataset_spec(spec.text) == spec


def test_a_home_that_nobody_has() -> None:
    with pytest.raises(UsageError, match=r"'file' parameter of manifest: ~nobody-of-that-name/x\.csv"):
        dataset_spec("manifest[file=~nobody-of-that-name/x.csv]")
