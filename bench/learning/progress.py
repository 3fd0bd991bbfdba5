"""How far a pre-training is: a line for who watches, a record for the log file."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.files import write_atomically
from bench.learning.passes import TOTAL
from bench.learning.training import Progress
from bench.plugin.pretraining import Pretraining


def follow(given: Pretraining, batch: int) -> Callable[[Progress], None]:
    """Report and log the progress of a training of `batch` images an update.

    Loss and accuracy, where the loss has a term of that name, are means since the line before.
    """
    last: tuple[float, int] | None = None

    def progress(now: Progress) -> None:
        nonlocal last
        moment = time.perf_counter()
        speed = (now.step - last[1]) * batch / (moment - last[0]) if last else None
        last = moment, now.step
        record = {
            "update": now.step,
            "images": now.step * batch,
            **{"loss" if term == TOTAL else term: value for term, value in now.loss.items()},
            "images_per_second": speed and round(speed, 2),
            "seconds_left": round(now.seconds_left),
        }
        given.log(record)
        parts = [
            f"update {now.step:,} of {now.steps:,}",
            f"{speed:,.0f} images/s" if speed else "",
            f"loss {now.loss[TOTAL]:.4g}",
            f"accuracy {100 * now.loss['accuracy']:.1f} %" if "accuracy" in now.loss else "",
            f"{timedelta(seconds=round(now.seconds_left))} left",
        ]
        given.report(", ".join(filter(None, parts)))

    return progress


class Log:
    """A file of one JSON object a line, in the order of updates.

    A training that goes on from its checkpoint repeats some updates: the first record of each network replaces those
    of the same and of later updates.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.networks: set[str] = set()

    def __call__(self, record: Mapping[str, Any]) -> None:
        network = record.get("network", "")
        try:
            if network not in self.networks:
                self.networks.add(network)
                self._forget(network, record["update"])
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise BenchError(f"cannot write the log {self.path}: {error.strerror or error}") from error

    def _forget(self, network: str, update: int) -> None:
        """Remove a network's records from an update on, and what a killed process left of a line."""
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            try:
                old = json.loads(line)
                if old.get("network", "") != network or old["update"] < update:
                    kept.append(line + "\n")
            except (ValueError, AttributeError, KeyError, TypeError):
                continue
        with write_atomically(self.path) as file:
            file.write("".join(kept).encode())
