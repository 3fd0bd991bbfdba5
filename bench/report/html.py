"""Tables in HTML: one ``<table>`` for any page, without styles or scripts, that a screen reader can find its way in."""

from collections.abc import Iterator

from bench.report.blocks import FIRST, Block, Value, blocks, legends, short_notes
from bench.report.content import Table
from bench.report.escape import for_html

MEASURED = "measured"
MARKS = ("{}", "<strong>{}</strong>", "<em>{}</em>")


def as_html(table: Table, with_published: bool) -> str:
    """The table as one element of the class ``bench-table``: a group of rows for each block, the notes at its foot."""
    made = blocks(table, with_published)
    lines = [
        '<table class="bench-table">',
        f"<caption>{for_html(table.kind.heading)}</caption>",
    ]
    if made:
        lines += [*head(made[0]), *(line for block in made for line in body(block))]
    columns = len(made[0].header) if made else 1
    notes = [*legends(table, "<strong>best</strong>", "<em>second best</em>"), *map(for_html, short_notes(table))]
    lines += ["<tfoot>", f'<tr><td colspan="{columns}">', "<ul>", *(f"<li>{note}</li>" for note in notes), "</ul>"]
    return "\n".join([*lines, "</td></tr>", "</tfoot>", "</table>"]) + "\n"


def head(block: Block) -> Iterator[str]:
    """The labels of the columns: in two rows where published values stand beside the measured ones."""
    two = any(beside for _, beside in block.labels)
    below = ' rowspan="2"' if two else ""
    yield "".join(f'<colgroup span="{1 + len(beside)}"></colgroup>' for _, beside in (("", ()), *block.labels))
    yield "<thead>"
    yield f'<tr><th scope="col"{below}>{FIRST}</th>'
    for label, beside in block.labels:
        if beside:
            yield f'<th scope="colgroup" colspan="{len(beside) + 1}">{for_html(label)}</th>'
        else:
            yield f'<th scope="col"{below}>{for_html(label)}</th>'
    yield "</tr>"
    if two:
        below_labels = [text for _, beside in block.labels if beside for text in (MEASURED, *beside)]
        yield "<tr>" + "".join(f'<th scope="col">{text}</th>' for text in below_labels) + "</tr>"
    yield "</thead>"


def body(block: Block) -> Iterator[str]:
    """A block's rows under its heading."""
    yield "<tbody>"
    yield f'<tr><th scope="rowgroup" colspan="{len(block.header)}">{for_html(block.heading)}</th></tr>'
    for name, *values in block.rows:
        cells = "".join(f"<td>{cell(value)}</td>" for value in values)
        yield f'<tr><th scope="row">{for_html(name.text)}</th>{cells}</tr>'
    yield "</tbody>"


def cell(value: Value) -> str:
    return MARKS[value.mark].format(for_html(value.text)) + for_html(value.interval)
