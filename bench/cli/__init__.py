"""The command line: ``bench``, or ``python -m bench`` in a clone."""

from bench.cli.entry import console, main
from bench.cli.parser import build_parser

__all__ = ["build_parser", "console", "main"]
