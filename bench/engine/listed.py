"""From a folder of images to a CSV file that lists them, by what their names say; nothing is guessed."""

import csv
import os
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.engine.decode import SUFFIXES
from bench.engine.naming import Pattern, Reading
from bench.errors import BenchError, DataError, UsageError, counted, listing, visible
from bench.plugin.grammar import canonical, split_text
from bench.plugin.registry import Plugin, registry

COLUMNS = {"identity": "person", "camera": "camera", "resolution": "resolution", "split": "split"}
"""Field of a pattern -> column of the list; other fields are read and passed over."""
NEEDED = ("identity", "camera")
EXAMPLES = 3


@dataclass(frozen=True)
class Found:
    """The images below a folder, by path relative to it, with slashes and in order.

    fit: with what their names say.  others: files that are no images; links: to folders, which are not followed.
    left_out: people seen by too few cameras.
    """

    folder: Path
    pattern: Pattern
    fit: dict[str, Reading] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    others: int = 0
    links: int = 0
    left_out: int = 0

    def seen_by(self, cameras: int) -> "Found":
        """Only the people whom at least so many cameras see; DataError where there are none."""
        seen = self.cameras_of
        kept = {path: one for path, one in self.fit.items() if seen[one.fields["identity"]] >= cameras}
        if not kept:
            raise DataError(f"nobody below {self.folder} is seen by {counted(cameras, 'camera')}")
        out = sum(count < cameras for count in seen.values())
        return replace(self, fit=kept, left_out=out)

    @property
    def cameras_of(self) -> Counter[str]:
        """Person -> how many cameras see them."""
        return Counter(person for person, _ in set(zip(self.labels("identity"), self.labels("camera"), strict=True)))

    def labels(self, name: str) -> list[str]:
        """Of all images that fit, what a field says."""
        return [reading.fields[name] for reading in self.fit.values()]


def find_images(folder: Path, text: str) -> Found:
    """Read the names of all images below a folder; hidden files and folders are passed over.

    UsageError for a pattern that says neither identity nor camera; DataError where there is nothing that fits.
    """
    pattern = Pattern(text)
    if missing := [f"{{{name}}}" for name in NEEDED if name not in pattern.fields]:
        raise UsageError(f"pattern {text!r} does not say {' and '.join(missing)}, which every image needs")
    if not folder.is_dir():
        raise DataError(f"no folder {folder}")
    fit, unfit, others, links = {}, [], 0, 0
    for path in files_below(folder):
        if path is None:
            links += 1
        elif Path(path).suffix.lower() not in SUFFIXES:
            others += 1
        elif reading := pattern.read(path):
            fit[path] = reading
        else:
            unfit.append(path)
    unfit.sort()
    if not fit:
        what = f"none of {counted(len(unfit), 'image')} below {folder} fits" if unfit else f"no image below {folder}"
        raise DataError(f"{what}{f' the pattern {text}, such as {listing(unfit, EXAMPLES)}' if unfit else ''}")
    return Found(folder, pattern, dict(sorted(fit.items())), unfit, others, links)


def files_below(folder: Path) -> Iterator[str | None]:
    """Relative paths with slashes of all files that are not hidden; None for each link to a folder."""

    def give_up(error: OSError) -> None:
        raise DataError(f"cannot read {error.filename}: {error.strerror or error}") from error

    for place, folders, files in os.walk(folder, onerror=give_up):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (None for name in folders if os.path.islink(os.path.join(place, name)))
        for name in files:
            if not name.startswith("."):
                yield Path(place, name).relative_to(folder).as_posix()


def write_list(found: Found, output: Path) -> None:
    """Write the list: a row for each image that fits, in the order of their paths.

    UsageError for a file that is there already, or lies where the images are not below it; DataError for names that a
    list cannot hold or that can be read in several ways.  Then nothing is written.
    """
    root, folder = output.absolute().parent.resolve(), found.folder.resolve()
    if not folder.is_relative_to(root):
        raise UsageError(f"{output} must lie in {found.folder} or above it: a list names images below its own folder")
    prefix = folder.relative_to(root)
    if problems := list(name_problems(found, prefix)):
        raise DataError(f"{counted(len(problems), 'name')} cannot be listed: {listing(problems, EXAMPLES)}")
    columns = {name: column for name, column in COLUMNS.items() if name in found.pattern.fields}
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["path", *columns.values()])
            for path, reading in found.fit.items():
                writer.writerow([as_field(prefix / path), *(reading.fields[name] for name in columns)])
    except FileExistsError as error:
        raise UsageError(f"{output} is there already; name another file, nothing is overwritten") from error
    except OSError as error:
        output.unlink(missing_ok=True)
        raise BenchError(f"cannot write {output}: {error.strerror or error}") from error


def as_field(path: Path) -> str:
    """A relative path as a field that is no formula to a spreadsheet, and whose first character is no space."""
    text = path.as_posix()
    return f"./{text}" if text[0] in "=+-@" or text[0].isspace() else text


def name_problems(found: Found, prefix: Path) -> Iterator[str]:
    for path, reading in found.fit.items():
        shown = visible(path)
        if problem := path_problem(f"{prefix}/{path}"):
            yield f"{shown} ({problem}: rename it)"
        elif reading.other is not None:
            yield f"{shown} (read as {words(reading.fields)} or as {words(reading.other)}: {{name:d}} is digits only)"
        else:
            for name in COLUMNS:
                if problem := label_problem(reading.fields.get(name, "x")):
                    yield f"{shown} ({name} {visible(reading.fields[name])!r} {problem})"


def label_problem(label: str) -> str:
    """Why a label cannot be in a list, empty where it can."""
    if label != label.strip():
        return "begins or ends with a space"
    if not label.isprintable():
        return "holds what cannot be seen"
    return "begins like a formula of a spreadsheet" if label[0] in "=+-@" else ""


def path_problem(path: str) -> str:
    """Why a path cannot be in a list, empty where it can."""
    if any("\ud800" <= c <= "\udfff" for c in path):
        return "not UTF-8"
    return "it holds a control character" if any(unicodedata.category(c) == "Cc" for c in path) else ""


def words(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {visible(value)}" for name, value in fields.items())


def as_text(found: Found) -> list[str]:
    """What was understood, in lines."""
    people, cameras = Counter(found.labels("identity")), Counter(found.labels("camera"))
    seen = found.cameras_of
    least, most, middle = min(people.values()), max(people.values()), statistics.median(people.values())
    each = counted(least, "image") if least == most else f"{least:,} to {counted(most, 'image')}, median {middle:g},"
    names = [f"{name} ({count:,})" for name, count in sorted(cameras.items())]
    lines = [
        f"{counted(len(found.fit), 'image')} of {counted(len(people), 'person')}, {each} a person",
        f"{counted(len(cameras), 'camera')}: {listing(names, 8)}",
    ]
    if found.left_out:
        lines.append(f"seen by too few cameras, left out: {counted(found.left_out, 'person')}")
    if one := sorted(person for person, count in seen.items() if count == 1):
        lines.append(f"seen by one camera only: {counted(len(one), 'person')}: {listing(one)}")
    for path, reading in list(found.fit.items())[:EXAMPLES]:
        lines.append(f"such as {path}: {words(reading.fields)}")
    if found.unfit:
        lines.append(f"do not fit, left out: {counted(len(found.unfit), 'image')}: {listing(found.unfit)}")
    passed = [(found.others, "file that is no image", "files that are no images"), (found.links, "link", "links")]
    if any(count for count, _, _ in passed):
        said = [f"{count:,} {one if count == 1 else many}" for count, one, many in passed if count]
        lines.append(f"passed over: {', '.join(said)}")
    return lines


def listed_datasets() -> list[Plugin]:
    """The data sets that read a list of images."""
    return [plugin for plugin in registry().plugins if plugin.kind == "dataset" and plugin.attributes.get("listed_in")]


def name_of_list(given: str | None, output: Path) -> str:
    """A data set of a list, by name and parameters: by default one whose probe side is shrunk.

    given: the data set without the list.  UsageError for one that reads no list, or has one named.
    """
    plugins = listed_datasets()
    shrunk = [plugin.name for plugin in plugins if plugin.attributes.get("low_resolution") == "simulated"]
    if not given and not shrunk:
        raise UsageError("no data set here reads a list of images and shrinks its probe side: name one with --as")
    name, pairs = split_text(given or shrunk[0])
    plugin = next((plugin for plugin in plugins if plugin.name == name), None)
    if plugin is None:
        raise UsageError(f"{name} reads no list of images: there is {', '.join(plugin.name for plugin in plugins)}")
    parameter = str(plugin.attributes["listed_in"])
    if parameter in pairs:
        raise UsageError(f"{given}: leave out {parameter}, it is the file that is written")
    return canonical(name, [{**pairs, parameter: str(output)}])
