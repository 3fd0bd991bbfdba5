"""Tables in LaTeX: a fragment for ``\\input``, or a document that compiles as it is."""

import numpy as np

from bench.report.blocks import Block, blocks, legends
from bench.report.content import Table
from bench.report.escape import for_latex


def as_latex(table: Table, with_published: bool) -> str:
    """A ``tabular`` for each block, with the notes as comments."""
    comments = [table.kind.heading, *legends(table, "bold: best", "underlined: second best"), *table.notes]
    lines = [f"% {for_latex(comment)}" for comment in comments]
    return "\n".join([*lines, *(tabular(block) for block in blocks(table, with_published))])


def tabular(block: Block) -> str:
    """A block as a LaTeX ``tabular`` with booktabs' rules."""
    import pandas as pd  # half a second, for LaTeX alone

    style = {0: "", 1: "textbf:--rwrap;", 2: "underline:--rwrap;"}
    texts = [[for_latex(value.text + value.interval) for value in row] for row in block.rows]
    styles = np.array([[style[value.mark] for value in row] for row in block.rows]).reshape(len(texts), -1)
    # Headings may repeat ("published"), which a Styler does not take: they go in as a row of their own.
    frame = pd.DataFrame(texts, columns=range(len(block.header)))
    styler = frame.style.hide(axis="index").hide(axis="columns")
    if texts:
        styler = styler.apply(lambda _: styles, axis=None)
    columns = "l" + "r" * (len(block.header) - 1)
    text = styler.to_latex(hrules=True, column_format=columns)
    heading = rf"\multicolumn{{{len(columns)}}}{{l}}{{{for_latex(block.heading)}}} \\"
    header = " & ".join(for_latex(label) for label in block.header) + r" \\"
    return text.replace("\\toprule\n", f"\\toprule\n{heading}\n\\midrule\n{header}\n", 1)


def as_document(table: Table, with_published: bool) -> str:
    """A document of one page that compiles as it is."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{booktabs,graphicx}",
        r"\usepackage[landscape,margin=1cm]{geometry}",
        r"\pagestyle{empty}",
        r"\setlength{\parindent}{0pt}",
        r"\begin{document}",
        for_latex(table.kind.heading),
    ]
    fit = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    for block in blocks(table, with_published):
        lines += ["", r"\bigskip", fit, tabular(block) + "}"]
    notes = [*legends(table, "bold: best", "underlined: second best"), *table.notes]
    lines += ["", r"\bigskip", r"\footnotesize", *(for_latex(note) + "\n" for note in notes), r"\end{document}", ""]
    return "\n".join(lines)
