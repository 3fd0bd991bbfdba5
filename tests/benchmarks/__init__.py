import os
from pathlib import Path


def data_folder() -> Path:
    """The folder that BENCH_DATA names; ends the script where it names none."""
    folder = os.environ.get("BENCH_DATA")
    if not folder:
        raise SystemExit("Set BENCH_DATA to the folder that holds VIPeR, Market-1501-v15.09.15, ...")
    return Path(folder)
