"""Where a run is computed that is not computed on this machine; Dask is not imported before it is used."""

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UsageError
from bench.files import read_regular

ADDRESS = re.compile(r"(tcp|tls|ucx|ws|wss)://\S+:\d+")
LARGEST = 2**20  # bytes of a scheduler file


@dataclass(frozen=True)
class Remote:
    """The workers of a Dask scheduler.

    scheduler: its address.  device: of networks on each worker.  most: how many workers are used
    at a time, None for all.
    """

    scheduler: str
    device: str = "auto"
    most: int | None = None


def make_remote(backend: str | None, scheduler: str | None, device: str, most: int | None) -> Remote | None:
    """What ``--backend`` and ``--scheduler`` say, None for this machine; UsageError where they make no sense."""
    if backend is None or scheduler is None:
        if backend or scheduler:
            raise UsageError("--backend dask and --scheduler ADDRESS go together: one is missing")
        return None
    if importlib.util.find_spec("distributed") is None:
        raise UsageError("--backend dask needs Dask: pip install 'dask[distributed]'")
    return Remote(address_of(scheduler), device, most)


def address_of(scheduler: str) -> str:
    """The address itself, or the one that a scheduler file holds."""
    if ADDRESS.fullmatch(scheduler):
        return scheduler
    try:
        address = json.loads(read_regular(Path(scheduler), LARGEST, "a scheduler file has"))["address"]
        if ADDRESS.fullmatch(address):
            return str(address)
    except (OSError, ValueError, TypeError, LookupError):
        pass
    raise UsageError(f"--scheduler {scheduler}: neither an address such as tcp://host:8786 nor a scheduler file")
