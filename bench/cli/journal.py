"""Which steps of campaigns other than runs are done: a line each in a file of the store."""

import json
import os
from pathlib import Path
from typing import Any

from bench.cli.steps import Step
from bench.cli.stores import writing_stores
from bench.files import write_atomically


class Journal:
    """A line for each step that is done: the step, what it holds for, and the weights files that it wrote.

    A step holds for a device and for where its output lies, tests for a commit as well; weights must still be there.
    Paths are relative to the store, so that both may be moved together.  Whoever wants a step done again deletes its
    line.
    """

    def __init__(self, results: Path | None) -> None:
        self.path = writing_stores(results)[0].folder / "distances" / "campaign.jsonl"

    def holds(self, step: Step, device: str) -> bool:
        """Whether a step is done.  UsageError for a device that is not there."""
        key = self.key(step, device)
        return any(
            line.get("key") == key and all((self.path.parent / name).is_file() for name in line["wrote"])
            for line in self.lines()
        )

    def add(self, step: Step, device: str, before: dict[str, int]) -> None:
        """Note that a step is done.  before: `weights` as they were when it began."""
        from filelock import FileLock

        from bench.engine.store import cannot_write

        key = self.key(step, device)
        wrote = sorted(name for name, when in self.weights(step).items() if before.get(name) != when)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock")):
                lines = [line for line in self.lines() if line.get("key") != key] + [{"key": key, "wrote": wrote}]
                with write_atomically(self.path) as file:
                    file.write("".join(f"{json.dumps(line)}\n" for line in lines).encode())
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error

    def lines(self) -> list[dict[str, Any]]:
        try:
            lines = [json.loads(line) for line in self.path.read_text().splitlines()]
            return [line for line in lines if isinstance(line, dict) and isinstance(line.get("wrote"), list)]
        except (OSError, ValueError):
            return []

    def key(self, step: Step, device: str) -> list[str]:
        from bench.engine.provenance import git_commit
        from bench.learning.device import resolve_device

        where = resolve_device(getattr(step.options, "device", device))
        output = self.output(step)
        at = str(git_commit()) if step.options is None else self.name(output) if output else ""
        return [str(step), where, at]

    def weights(self, step: Step) -> dict[str, int]:
        """The weights files where a step puts its own, and when each was written."""
        output = self.output(step)
        return {self.name(path): path.stat().st_mtime_ns for path in output.glob("*.safetensors")} if output else {}

    def output(self, step: Step) -> Path | None:
        found: Path | None = getattr(step.options, "output", None)
        return found

    def name(self, path: Path) -> str:
        return os.path.relpath(path.resolve(), self.path.parent.resolve())
