"""``python -m bench``."""

from bench.cli import console

console()
