"""README shows what a first run prints."""

import re

import pytest

from tests.first_run import first_run, printed


def test_readme_says_what_a_first_run_consists_of(tmp_path) -> None:
    before = printed().partition("...\n")[0]
    assert first_run(tmp_path, "--dry-run").startswith(before)
    assert "trained on" in before, "one line says why networks are not part of it"


@pytest.mark.slow
def test_readme_shows_the_output_of_a_first_run(tmp_path) -> None:
    """Word by word; ranks up to what another machine's last bits make of them."""

    def parts(text: str) -> tuple[list[str], list[float]]:
        words = re.split(r"[\s|*_-]+", text)
        numbers = [word for word in words if re.fullmatch(r"\d+\.\d", word)]
        return [word for word in words if word not in numbers], [float(number) for number in numbers]

    words, numbers = parts(first_run(tmp_path))
    expected_words, expected_numbers = parts(printed())
    assert words == expected_words
    assert numbers == pytest.approx(expected_numbers, abs=0.3)
