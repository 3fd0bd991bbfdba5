"""The site's pages beside the guides are the project's own Markdown files, at the paths that they have in the tree.

Links hold in the tree, and are rewritten for the site; a link to a file or folder that is no page becomes its text.
"""

import posixpath
import re
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OWN = ".docs/pages/"
LINK = re.compile(r"\[([^\]\n]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in sorted(pages()):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


@cache
def pages() -> set[str]:
    """The Markdown files of the tree, hidden folders and what is built left out."""
    paths = (path.relative_to(ROOT) for path in ROOT.glob("**/*.md"))
    return {path.as_posix() for path in paths if path.parts[0] != "build" and not path.parts[0].startswith(".")}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    here = page.file.src_uri
    folder = posixpath.dirname(here if here in pages() else OWN + here)

    def linked(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        if "://" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        names = [name.removeprefix(OWN) for name in (path, f"{path}/README.md")]
        found = next((name for name in names if name in files.src_uris), None)
        if found:
            return f"[{text}]({posixpath.relpath(found, posixpath.dirname(here) or '.')}{anchor or ''})"
        # One that leads nowhere is left, and the build says so.
        return text if (ROOT / path).exists() else match[0]

    return LINK.sub(linked, markdown)
