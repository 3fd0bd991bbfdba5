"""Text from files, made harmless for where it is printed: a terminal, Markdown, HTML, a spreadsheet, LaTeX."""

import re
from html import escape

from bench.errors import visible

MARKDOWN = str.maketrans(
    {"\\": r"\\", "|": r"\|", "`": r"\`", "*": r"\*", "~": r"\~", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "_": r"\_",
        "%": r"\%",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "[": "{[}",
        "]": "{]}",
        '"': "''",
        "*": "{*}",
        "|": r"\textbar{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "`": r"\textasciigrave{}",
    }
)


def for_terminal(text: str) -> str:
    """One line, as `bench.errors.visible`."""
    return visible(text)


def for_markdown(text: str) -> str:
    """Text that stays text in a cell of a Markdown table or an item of a list: no markup, link or HTML."""
    escaped = for_terminal(text).translate(MARKDOWN)
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)  # an underscore within a word is no markup
    return escaped.replace("](", r"]\(").replace("![", r"!\[").replace("][", r"]\[")


def for_html(text: str) -> str:
    """Text that stays text in an HTML element or attribute."""
    return escape(for_terminal(text))


def for_csv(text: str) -> str:
    """Text that no spreadsheet takes for a formula: what begins like one gets an apostrophe before it."""
    harmless = for_terminal(text)
    formula = text.startswith(("\t", "\r")) or harmless.lstrip().startswith(("=", "+", "-", "@"))
    return f"'{harmless}" if formula else harmless


def for_latex(text: str) -> str:
    """Text with LaTeX's special characters escaped; letters that its standard fonts lack stand as code points."""

    def known(c: str) -> bool:
        return c.isascii() or c == "±" or ("À" <= c <= "ÿ" and c.isalpha() and c not in "ÐðÞþ")

    escaped = "".join(c if known(c) else f"(U+{ord(c):04X})" for c in for_terminal(text)).translate(LATEX)
    return re.sub(r"--(?=\w)", "-{}-", escaped)  # an option, which LaTeX would make a dash of
