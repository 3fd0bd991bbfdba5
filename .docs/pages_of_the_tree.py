"""The site's pages beside the guides are the project's own Markdown files, at the paths that they have in the tree.

So links between them hold as they are; guides name them as if they lay in the tree's top folder, too.  A link to a file
or folder of the tree that is no page becomes its text.
"""

import posixpath
import re
import subprocess
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[([^\]\n]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in sorted(pages()):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def pages() -> set[str]:
    """The Markdown files of the tree, as far as they belong to the project."""
    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return {path for path in known if not path.startswith(".")}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    folder = posixpath.dirname(page.file.src_uri)

    def linked(match: re.Match[str]) -> str:
        text, target, _ = match.groups()
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        page_at = {path, posixpath.join(path, "README.md")} & set(files.src_uris)
        if page_at:
            return match[0].replace(target, posixpath.relpath(page_at.pop(), folder or "."))
        if not (ROOT / path).exists():
            return match[0]  # the build says that it leads nowhere
        return text

    return LINK.sub(linked, markdown)
