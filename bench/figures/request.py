"""What a figure is asked to show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engine.store import Result


@dataclass(frozen=True)
class Request:
    """Stored cells, and which of them to show, as on the command line.

    results: finished cells of all stores.  methods, datasets: names or globs, names alone where images are
    shown, none for a kind's own choice.
    profile: cells of this training schedule only, of methods that have one.  stores: the folders that `results` are
    from, for what lies beside cells.  For kinds that show images, data: the folder that holds the data sets; split: of
    the cell; probes: files or people, none for a kind's own choice.
    """

    results: Sequence[Result]
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    seed: int = 0
    profile: str | None = None
    stores: Sequence[Path] = ()
    data: Path | None = None
    split: int = 0
    probes: Sequence[str] = ()
