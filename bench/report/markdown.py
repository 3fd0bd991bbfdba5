"""Tables in Markdown, which read well as plain text too."""

from bench.report.blocks import Value, blocks, legends, short_notes
from bench.report.content import Table
from bench.report.escape import for_markdown


def as_markdown(table: Table, with_published: bool) -> str:
    """A table for each block, columns aligned, the notes as a list below."""

    def text(value: Value) -> str:
        return ("{}", "**{}**", "_{}_")[value.mark].format(for_markdown(value.text)) + value.interval

    lines = [f"### {table.kind.heading}", ""]
    for block in blocks(table, with_published):
        rows = [[for_markdown(label) for label in block.header], *([text(v) for v in row] for row in block.rows)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        padded = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
        rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
        lines += [f"**{for_markdown(block.heading)}**", "", padded[0], rule, *padded[1:], ""]
    lines += [f"- {line}" for line in legends(table, "**best**", "_second best_")]
    lines += [f"- {for_markdown(note)}" for note in short_notes(table)]
    return "\n".join(lines) + "\n"
