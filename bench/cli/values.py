"""Numbers and times as they stand on a command line."""

import argparse
import re

from bench.errors import UsageError

SEEDS = 2**63
MOST_JOBS = 4096
MOST = 10**9
LEAST_MEMORY = 2**28  # bytes


def whole(text: str, least: int, end: int, shown: str) -> int:
    """A whole number from `least` to below `end`, of which `shown` is the name."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"a whole number of {least} or more is expected, not {shorten(text)}")
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(end)) or int(digits) >= end:
        raise argparse.ArgumentTypeError(f"a number below {shown} is expected, not {shorten(text)}")
    if int(digits) < least:
        raise argparse.ArgumentTypeError(f"at least {least} is expected")
    return int(digits)


def seed(text: str) -> int:
    return whole(text, 0, SEEDS, "2**63")


def count(text: str) -> int:
    return whole(text, 1, MOST + 1, "a billion")


def jobs(text: str) -> int:
    return whole(text, 1, MOST_JOBS + 1, f"{MOST_JOBS + 1:,}")


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``2h`` or ``1h30m``."""
    found = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", text, re.ASCII)
    parts = found.groups() if found else ()
    seconds = sum(int(part or 0) * size for part, size in zip(parts, (3600, 60, 1), strict=False))
    if not seconds:
        raise argparse.ArgumentTypeError(f"a time such as 90s, 30m or 1h30m is expected, not {shorten(text)}")
    return float(seconds)


def parse_bytes(text: str) -> int:
    """Bytes of ``512M``, ``2G`` or ``1.5T``, a thousand and twenty-four of each in the next."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([MGT])(?:i?B)?", text, re.ASCII | re.IGNORECASE)
    size = int(float(found[1]) * 2 ** {"M": 20, "G": 30, "T": 40}[found[2].upper()]) if found else 0
    if size < LEAST_MEMORY:
        least = f"{LEAST_MEMORY >> 20}M"
        raise argparse.ArgumentTypeError(f"a size such as 512M or 8G is expected, {least} or more, not {shorten(text)}")
    return size


def shorten(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def parse_splits(text: str, option: str = "--splits") -> tuple[int, ...]:
    """``0-9`` or ``0,2,5-7`` -> numbers in order; UsageError, naming the option, for anything else."""
    from bench.engine.plan import MOST_SPLITS

    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,20})(?:-(\d{1,20}))?", part.strip(), re.ASCII)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            shown = text if len(text) < 60 else f"{text[:57]}..."
            raise UsageError(f"{option} {shown}: expected numbers and ranges such as 0-9 or 0,2,5-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= MOST_SPLITS:
            raise UsageError(f"{option} {part.strip()}: splits are numbered from 0 to {MOST_SPLITS - 1}")
        numbers |= set(range(first, last + 1))
    return tuple(sorted(numbers))
