"""Names of files made of texts."""

from hypothesis import given
from hypothesis import strategies as st

from bench.files import safe_name


def test_usual_specs_keep_their_names() -> None:
    assert safe_name("sing[alpha=0,anchors=1/2+1/4]") == "sing[alpha=0,anchors=1-2+1-4]"
    assert safe_name("x" * 255) == "x" * 255


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_any_text_fits(text) -> None:
    name = safe_name(text)
    assert "/" not in name
    assert len(name.encode()) <= 255


def test_long_texts_stay_apart() -> None:
    a, b = safe_name("é" * 300 + "a"), safe_name("é" * 300 + "b")
    assert a != b
    assert a.startswith("é" * 100)
