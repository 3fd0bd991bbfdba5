"""The examples of the project's pages: their commands and Python, and how to run them where there are no data."""

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from bench.plugin.grammar import canonical, split_text
from bench.plugin.registry import registry
from tests.conftest import ROOT

# Left out: what notes and weights/README say of how something was made once; what .ci/run and test_benchmarks.py run.
PAGES = ["README.md", *(f"{part}/README.md" for part in ("bench", "methods", "datasets", "results"))]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / ".docs" / "pages" / "guides").glob("*.md"))
BLOCK = re.compile(r"^( *)```(sh|python)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
SMALL = {"identities": "24"}
SHORT = {"--splits": "0-1", "--profile": "smoke", "--jobs": "1", "--device": "cpu"}


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each example."""
    found = BLOCK.finditer((ROOT / page).read_text(encoding="utf-8"))
    return [(match[2], textwrap.dedent(match[1] + match[3])) for match in found]


def lines(text: str) -> Iterator[str]:
    """The lines of a shell example that are not comments, continued ones as one."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def command(line: str) -> tuple[dict[str, str], list[str]]:
    """Variables that are set, and the words after ``python -m bench``, none where the line calls something else."""
    words = shlex.split(line, comments=True)
    words = words[1:] if words[0] == "export" else words
    variables: dict[str, str] = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, variables[name] = words.pop(0).partition("=")
    return variables, words[3:] if words[:3] == ["python", "-m", "bench"] else []


def drawn(dataset: str) -> str:
    """Drawn people in place of a data set of files, with its options of the protocol."""
    name, pairs = split_text(dataset)
    real = name in registry().names("dataset") and registry().get("dataset", name).attributes.get("folder")
    return canonical("synthetic", [{**pairs, **SMALL}]) if real else dataset


def shortened(words: Sequence[str]) -> list[str]:
    """A command as it is tested: what would compute does so on drawn people, for seconds."""
    kind = words[0]
    if kind == "prepare":
        return [kind, *(drawn(word) for word in words[1:])]
    if shows_lists(words):
        return [kind, *(drawn(word) if before == "-d" else word for before, word in pairwise(words))]
    if kind == "init-method":
        return [*words, "--plugins", "plugins"]
    if kind == "init-dataset":
        return [f"new-{word}" if before == "-o" else word for before, word in pairwise(["", *words])]
    if kind not in ("run", "pretrain"):
        return list(words)
    found = [drawn(word) if before == "-d" else word for before, word in pairwise(words)]
    if kind == "pretrain":
        # Smoke's narrow networks would take the place of weights that the next line reads.
        found = ["smoke" if before == "--output" else word for before, word in pairwise([kind, *found])]
        images = "--images" in found
        return [kind, *found, *([] if images or "-d" in found else ["-d", drawn("market1501")]), "--profile", "smoke"]
    if "--campaign" in found:
        # The rehearsal of it, on drawn people.
        return [kind, *(word.replace("gpu", "rehearsal") for word in found), "--dry-run"]
    of_files = "--all" in found or any(drawn(word) != word for word in words)
    kept = {"--splits": None} if not of_files and "--splits" in found else {}
    short = [word for pair in SHORT.items() if pair[0] not in kept for word in pair]
    return [kind, *found, *(["-d", drawn("viper")] if "--all" in found else []), *short]


def shows_lists(words: Sequence[str]) -> bool:
    """Whether a command needs what only cells of these versions keep, or the images themselves."""
    return words[0] == "ranks" or words[:2] in (["plot", "ranks"], ["plot", "qualitative"], ["plot", "samples"])


def needed(words: Sequence[str]) -> list[str]:
    """What must have run before a command that shows lists; empty where nothing must."""
    after = dict(pairwise(words))
    method = words[1] if words[0] == "ranks" else after.get("-m")
    if not method or not shows_lists(words):
        return []
    return ["run", "-m", method, "-d", drawn(after["-d"]), "--splits", "0", "--profile", "smoke", "--jobs", "1"]


def classes(page: str) -> Iterator[tuple[str, str]]:
    """Whole plug-ins among a page's examples: a name for the file, and its text."""
    for language, text in blocks(page):
        name = re.search(r'^    name = "(\w+)"$', text, re.MULTILINE)
        if language == "python" and name and "class " in text:
            yield name[1], text


def photographs(folder: Path, size: tuple[int, int] | None = None) -> None:
    """Drawn people as files, two cameras and three images each; people.csv and my.csv beside the folder list them."""
    from PIL import Image

    from datasets.synthetic import draw_person

    rows = ["path,person,camera"]
    for k in range(12):
        for camera in "ab":
            path = folder / f"cam_{camera}" / f"p{k}_0.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_person(k, camera)).resize(size or (48, 128)).save(path, quality=95)
            rows.append(f"{path.relative_to(folder.parent)},p{k},{camera}")
    for name in ("people.csv", "my.csv"):
        (folder.parent / name).write_text("\n".join(rows))
    probes = [row.split(",")[0] for row in rows if row.endswith(",a")]
    (folder.parent / "ratios.csv").write_text("\n".join(["path,ratio", *(f"{probe},1/2" for probe in probes)]))
