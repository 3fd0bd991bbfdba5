"""Names and messages of strangers, as text and nothing else wherever they are printed."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.escape import for_csv, for_html, for_latex, for_markdown, for_terminal
from bench.report.published import find_table
from bench.report.render import render
from bench.report.tables import make_table
from tests.cells import fill

HOSTILE = [
    "\x1b[31mred",
    "two\nlines",
    "a|b",
    "`code`",
    "<script>alert(1)</script>",
    "**bold** _em_",
    "![x](http://x)",
    "\u202egnp.exe",
    "\x9b31m",
]


@given(st.text())
def test_one_visible_line(text) -> None:
    for escape in (for_terminal, for_markdown, for_html, for_csv, for_latex):
        assert all(c.isprintable() for c in escape(text))


def test_plain_names_stay_as_they_are() -> None:
    name = "mlr_viper[ratio_file=873978,split_file=a6e759]"
    assert for_terminal(name) == for_markdown(name) == for_csv(name) == name
    assert for_terminal("37.3 ± 1.2, é, 人") == "37.3 ± 1.2, é, 人"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", r"\\x1b[31mred"),
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("**x**", r"\*\*x\*\*"),
        ("_x_ a_b", r"\_x\_ a_b"),
        ("![x](y)", r"!\[x]\(y)"),
    ],
)
def test_markdown(text, expected) -> None:
    assert for_markdown(text) == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_formulas(text) -> None:
    assert for_csv(text).lstrip()[0] in "'\\"
    assert for_csv("a=b") == "a=b"


def test_latex() -> None:
    assert for_latex(r"\input{x}_%&#$^~") == (
        r"\textbackslash{}input\{x\}\_\%\&\#\$\textasciicircum{}\textasciitilde{}"
    )
    assert for_latex("人 é") == "(U+4EBA) é"
    assert for_latex("*") == "{*}", "after the end of a row a bare one would be taken for its option"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_methods_in_tables(tmp_path, name) -> None:
    """A row stays one row of as many cells, and nothing of it is markup."""
    safe_path = fill(tmp_path, "bicubic+xqda", "caviar", [0.3])
    (result,) = safe_path.read_all()[0]
    stranger = type(result)(
        type(result.cell)(**{**vars_of(result.cell), "method": name.replace("[", "(").replace("]", ")")}),
        result.record, None, result.path,
    )  # fmt: skip
    made = make_table(find_table("2"), [result, stranger])
    lines = render(made, "markdown", True).splitlines()
    rows = [line.replace(r"\|", "") for line in lines if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == len(made.methods["caviar"]) + 2
    text = "\n".join(lines)
    assert "<script>" not in text
    assert all(c.isprintable() or c == "\n" for c in text)
    read = list(csv.reader(io.StringIO(render(made, "csv", True))))
    assert len({len(row) for row in read}) == 1


def vars_of(cell) -> dict:
    return {name: getattr(cell, name) for name in type(cell).__dataclass_fields__}
