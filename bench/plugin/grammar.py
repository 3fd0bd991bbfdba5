"""The grammar of a method or data set: ``name[key=value,...]``, a bare key is true; needs no plug-in.

``bicubic+xqda[solver=eigh]`` is the front-end `bicubic` before the method `xqda`.  A spec is kept in canonical form
(keys sorted, defaults dropped): that form names a cell.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from bench.errors import UsageError
from bench.protocol.fusion import ANCHORS


@dataclass(frozen=True)
class MethodOptions:
    """What the harness does around any method.

    anchors: anchor ratios joined by ``+``, a subset of 1/2+1/3+1/4.
    synthetic_lr: add F_i(SYN_i), the shrunk and up-scaled gallery images, to a method's gallery-view training images.
    sigma: the fusion's scale, 0.001 to 1000, ``auto`` for cross-validation on training identities.
    normalise: divide each anchor's distances by their mean before fusing.
    """

    anchors: str = "1/2+1/3+1/4"
    synthetic_lr: bool = False
    sigma: Annotated[float, Ge(1e-3), Le(1e3)] | Literal["auto"] = "auto"
    normalise: bool = False


@dataclass(frozen=True)
class DatasetOptions:
    """The protocol around any data set.

    split_file: CSV ``split,identity,part`` (part: train or test) in place of the seeded random halves.
    ratio_file: CSV ``path,ratio`` or ``identity,camera,ratio`` in place of the seeded balanced thirds.
    gallery_shots: gallery images drawn of each person, all where there are fewer; a probe's distance to the person is
    that to the nearest of them.
    gallery_draws: random galleries averaged over; ``auto``: 1 where every test person has no more gallery images than
    `gallery_shots`, else 100.
    images_per_view: at most so many training images per person and camera, a seeded choice; all where it is not given.
    """

    split_file: Path | None = None
    ratio_file: Path | None = None
    gallery_shots: Annotated[int, Ge(1)] = 1
    gallery_draws: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    images_per_view: Annotated[int, Ge(1)] | None = None


def split_text(text: str) -> tuple[str, dict[str, str]]:
    """``name[k=v,flag]`` -> (name, {k: v, flag: "true"}).

    A value with a comma, a bracket or a quote stands in double quotes, ``file="a,b[1].csv"``, a quote in it twice.
    Backslashes are themselves.
    """
    text = text.strip()
    plain = without_quoted(text)
    match = re.fullmatch(r"([^\[\]\"]+?)(?:\[([^\[\]]*)\])?", plain)
    if not match:
        hint = '; a value with a comma or bracket goes in double quotes, key="a,b"' if plain.count("[") else ""
        raise UsageError(f"{text!r} is not of the form name or name[key=value,...]{hint}")
    pairs: dict[str, str] = {}
    start, end = match.span(2) if match[2] is not None else (0, 0)
    for part in re.finditer(r"[^,]+", plain[start:end]):
        item = text[start:end][slice(*part.span())].strip()
        if not item:
            continue
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if '"' in value:
            quoted = re.fullmatch(r'"((?:[^"]|"")*)"', value)
            value = quoted[1].replace('""', '"') if quoted else ""
        if not key or '"' in key or (equals and not value):
            raise UsageError(f'{text!r}: {item!r} is not of the form key=value or key="value"')
        if key in pairs:
            raise UsageError(f"{text!r}: {key!r} is given twice")
        pairs[key] = value if equals else "true"
    return match[1], pairs


def without_quoted(text: str) -> str:
    """The text, as long as before, with a quote in place of every character between double quotes."""
    characters, quoted = [], False
    for character in text:
        quoted ^= character == '"'
        characters.append('"' if quoted else character)
    return "".join(characters)


def parse_anchors(text: str) -> tuple[Fraction, ...]:
    """``1/2+1/4`` -> fractions, in the order of `ANCHORS`."""
    names = {str(a): a for a in ANCHORS}
    parts = text.split("+")
    if len(set(parts)) != len(parts) or not set(parts) <= set(names):
        raise UsageError(f"anchors={text}: expected different ratios of {', '.join(names)} joined by +")
    return tuple(a for a in ANCHORS if str(a) in parts)


def value_text(value: object) -> str:
    """A parameter's value in words: ``true``, ``none``, ``0.25``, ``1/2+1/4``."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def quoted_text(value: object) -> str:
    """Likewise, as it stands in canonical text: in quotes where the grammar would read it otherwise."""
    text = value_text(value)
    if re.search(r'[,\[\]"]', text) or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def canonical(name: str, parts: Sequence[Mapping[str, Any]]) -> str:
    """``name[key=value,...]`` with sorted keys; a true flag is bare."""
    merged = {k: v for part in parts for k, v in part.items()}
    items = [k if v is True else f"{k}={quoted_text(v)}" for k, v in sorted(merged.items())]
    return f"{name}[{','.join(items)}]" if items else name
