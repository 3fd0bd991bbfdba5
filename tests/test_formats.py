"""What tables are written as for others: HTML for a page, JSON for a program, and names as the user wants them."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.report.aliases import Alias, parse_alias, read_aliases
from bench.report.html import as_html
from bench.report.published import find_table
from bench.report.render import render
from bench.report.tables import make_table
from bench.report.tidy import COLUMNS
from tests.cells import fill
from tests.test_escape import HOSTILE, vars_of

XQDA = "bicubic+xqda"
EIGH = "bicubic+xqda[solver=eigh]"


def table(store, name: str = "2", *patterns: str, **options):
    return make_table(find_table(name), store.read_all()[0], patterns, **options)


@pytest.fixture
def store(tmp_path):
    """On caviar: ten splits of two methods, of which the second is better, and one of a third."""
    fill(tmp_path, XQDA, "caviar", [0.3] * 10)
    fill(tmp_path, EIGH, "caviar", [0.4] * 10)
    return fill(tmp_path, "sing", "caviar", [0.9])


class Elements(HTMLParser):
    """Tags with their attributes, in order, and the text of each element that holds no other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if data.strip():
            self.texts.append(data)


def grid(text: str) -> list[int]:
    """How many columns each row of a table takes, cells that reach down from a row above counted."""
    widths, below = [], 0
    for part in text.split("<tr>")[1:]:
        cells = [a for tag, a in Elements(part.split("</tr>")[0]).tags if tag in ("th", "td")]
        widths.append(below + sum(int(a.get("colspan") or 1) for a in cells))
        below = sum(int(a.get("colspan") or 1) for a in cells if a.get("rowspan") == "2")
    return widths


class TestHTML:
    @pytest.mark.parametrize("name", ["2", "4"])
    @pytest.mark.parametrize("with_published", [False, True])
    def test_one_table_that_a_screen_reader_finds_its_way_in(self, store, name, with_published) -> None:
        fill(store.folder, XQDA, "mlr_viper", [0.2, 0.4])
        text = render(table(store, name, columns=("map",)), "html", with_published)
        found = Elements(text)
        assert found.open == []
        tags = [tag for tag, _ in found.tags]
        assert (tags[0], tags[1], tags.count("table"), tags.count("caption")) == ("table", "caption", 1, 1)
        assert not {"script", "style"} & set(tags)
        scopes = {attributes.get("scope") for tag, attributes in found.tags if tag == "th"}
        assert scopes == {"col", "row", "rowgroup"} | ({"colgroup"} if with_published else set())
        columns = sum(int(a["span"]) for tag, a in found.tags if tag == "colgroup")
        assert set(grid(text)) == {columns}

    def test_values_and_marks(self, store) -> None:
        text = as_html(table(store), with_published=True)
        row = next(line for line in text.splitlines() if f">{EIGH}<" in line)
        assert row.startswith(f'<tr><th scope="row">{EIGH}</th><td><strong>40.0</strong> ± 0.0</td><td>--</td>')
        assert "<td><em>30.0</em> ± 0.0</td><td>24.3</td><td>+5.7</td>" in text
        assert "<strong>90.0" not in text, "one split is not ranked with ten"

    @pytest.mark.parametrize("name", [*HOSTILE, "'><img src=x onerror=alert(1)>", "&lt;b&gt;"])
    def test_hostile_names_stay_text(self, store, name) -> None:
        results, _ = store.read_all()
        stranger = type(results[0])(
            type(results[0].cell)(**{**vars_of(results[0].cell), "method": name.replace("[", "(").replace("]", ")")}),
            results[0].record, None, results[0].path,
        )  # fmt: skip
        without, found = (
            Elements(as_html(make_table(find_table("2"), cells), True)) for cells in (results, [*results, stranger])
        )
        assert {tag for tag, _ in found.tags} == {tag for tag, _ in without.tags}
        assert all(c.isprintable() or c == "\n" for text in found.texts for c in text)

    def test_without_any_row(self, tmp_path) -> None:
        assert Elements(as_html(table(fill(tmp_path, XQDA, "caviar", []), "2"), True)).open == []


class TestJSON:
    def test_fields_are_those_of_the_csv_and_numbers_are_numbers(self, store) -> None:
        made = table(store, columns=("map",))
        found = json.loads(render(made, "json", False))
        assert set(found) == {"format", "table", "title", "ranks", "columns", "rows", "notes"}
        assert (found["format"], found["ranks"], found["columns"]) == (1, [1, 5, 10, 20], ["map"])
        read = list(csv.DictReader(io.StringIO(render(made, "csv", False))))
        assert len(found["rows"]) == len(read)
        for row, other in zip(found["rows"], read, strict=True):
            assert set(row) - set(other) == {
                "label", "dataset_label", "mark", "erratum", "within_noise", "split_numbers"
            }  # fmt: skip
            for column in (*COLUMNS, "map"):
                value = row[column]
                if isinstance(value, float):
                    assert value == float(other[column])
                else:
                    assert ("" if value is None else str(value)) == other[column]

    def test_what_a_row_says(self, store) -> None:
        rows = {(r["method"], r["rank"]): r for r in json.loads(render(table(store), "json", True))["rows"]}
        assert [rows[m, 1]["mark"] for m in (EIGH, XQDA, "sing")] == ["best", "second", None]
        row = rows[XQDA, 1]
        assert (row["mean"], row["published"], row["difference"], row["within_noise"]) == (30.0, 24.3, 5.7, True)
        assert row["split_numbers"] == list(range(10))
        assert (rows["bilinear+nfst", 5]["mean"], rows["bilinear+nfst", 5]["within_noise"]) == (None, None)

    def test_one_split_has_no_interval_and_no_nan(self, store) -> None:
        text = render(table(store), "json", True)
        assert "NaN" not in text
        (row,) = [r for r in json.loads(text)["rows"] if (r["method"], r["rank"]) == ("sing", 1)]
        assert (row["mean"], row["ci_low"]) == (90.0, None)


class TestAliases:
    @pytest.mark.parametrize(
        ("text", "name", "alias"),
        [
            ("sing=SING", "sing", "SING"),
            ("bicubic+xqda[solver=eigh]=XQDA, eigh", EIGH, "XQDA, eigh"),
            ('manifest[file="a=b].csv"]=Ours = "best"', 'manifest[file="a=b].csv"]', 'Ours = "best"'),
        ],
    )
    def test_names_with_options(self, text, name, alias) -> None:
        assert parse_alias(text) == Alias(name, alias)

    @pytest.mark.parametrize("text", ["sing", "=SING", "sing=", "[a=b]=c", ""])
    def test_another_form(self, text) -> None:
        with pytest.raises(UsageError, match="is not of the form NAME=ALIAS"):
            parse_alias(text)

    def test_printed_names_change_and_data_do_not(self, store) -> None:
        made = table(store, aliases=[Alias(EIGH, "X&Y <1>"), Alias("caviar", "CAVIAR")])
        assert r"X\&Y \textless{}1\textgreater{} & \textbf{40.0" in render(made, "latex", False)
        assert "| X&amp;Y &lt;1&gt; " in render(made, "markdown", False)
        assert '<th scope="row">X&amp;Y &lt;1&gt;</th>' in render(made, "html", False)
        assert "**CAVIAR**" in render(made, "markdown", False)
        assert EIGH in render(made, "csv", False)
        assert f"short names: X&Y <1> is {EIGH}; CAVIAR is caviar" in made.notes

    def test_two_names_are_never_printed_alike(self, store) -> None:
        for aliases in ([Alias(EIGH, "X"), Alias(XQDA, "X")], [Alias(EIGH, XQDA)]):
            with pytest.raises(UsageError, match="would both be printed as"):
                table(store, aliases=aliases)
        with pytest.raises(UsageError, match=r"'bicubic\+x\*' stands for .*: an alias is for one name"):
            table(store, aliases=[Alias("bicubic+x*", "X")])

    def test_of_a_file(self, store, tmp_path) -> None:
        file = tmp_path / "names.txt"
        file.write_text(f"# names of the paper\n\n{EIGH}=eigh\nsling=of another table\n", encoding="utf-8")
        assert "| eigh " in render(table(store, aliases=read_aliases(file)), "markdown", False)
        with pytest.raises(UsageError, match="no row or data set of this table 'sling': did you mean 'sing'"):
            table(store, aliases=[Alias("sling", "x")])

    @pytest.mark.parametrize(
        ("content", "said"),
        [(b"sing=SING\nsing\n", "line 2: 'sing' is not of the form"), (b"sing=\xff", "not UTF-8"), (None, "No such")],
    )
    def test_faults_of_a_file(self, bench, tmp_path: Path, content, said) -> None:
        file = tmp_path / "names.txt"
        if content is not None:
            file.write_bytes(content)
        output = bench("table", "2", "--aliases", file)
        assert (output.code, output.err.count("\n")) == (2, 1)
        assert said in output.err

    def test_on_the_command_line(self, bench, store) -> None:
        output = bench("table", "2", "--alias", f"{EIGH}=eigh", "--alias", "caviar=CAVIAR", "--results", store.folder)
        assert (output.code, output.err) == (0, "")
        assert "| eigh " in output.out
