"""A Dask worker as the side sees it that sends it cells."""

import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from distributed.scheduler import KilledWorker

from bench.budget import OutOfTime
from bench.engine import contract, dask_worker
from bench.engine.cell import Outcome
from bench.engine.child import ChildDied
from bench.engine.data import Data
from bench.engine.identity import source_of
from bench.engine.plan import Settings, Task
from bench.engine.provenance import computed
from bench.engine.record import Failure, Record
from bench.engine.shipping import blocks, key_of, order
from bench.plugin.locate import describe

if TYPE_CHECKING:
    from bench.engine.fleet import Fleet

LOOK = 1.0  # seconds between two looks whether a worker is there
TRIES = 3
"""How often a cell is computed whose worker is lost each time."""

How = Callable[[Task, Settings, Path], tuple[Record, Outcome] | Failure]
Result = TypeVar("Result")


class Lost(Exception):
    """A worker, or the process beside it that computed, is gone; the text says which."""


class Broken(Lost):
    """A worker cannot compute, whatever it is asked; the text says why."""


class Ended(Exception):
    """The run ended while a worker was asked."""


class Worker:
    """A Dask worker as this side sees it.  Its methods wait for the worker: they are called in threads."""

    def __init__(self, address: str, threads: int, fleet: "Fleet") -> None:
        self.address, self.threads, self.fleet = address, threads, fleet

    def ask(self, function: Callable[..., Result], *arguments: object, limit: float = float("inf")) -> Result:
        """What a function returns there.  Lost, Ended; Broken after `limit` seconds, and for whatever it raises."""
        answered, end = threading.Event(), time.monotonic() + limit
        future: Any = self.fleet.client.submit(
            function, *arguments, workers=[self.address], allow_other_workers=False, pure=False
        )
        future.add_done_callback(lambda _: answered.set())
        try:
            while not answered.wait(LOOK) and future.status == "pending":
                self.look()
                if time.monotonic() > end:
                    raise Broken(f"no answer within {limit:.0f} s")
            found: Result = self.result(future)
            return found
        except (Lost, Ended):
            raise
        except ChildDied:
            raise Lost(f"the process beside {self.address} was killed") from None
        except Exception as error:  # of a bench that is another, a disk that is full, ...
            raise Broken(describe(error)) from error
        finally:
            future.cancel()

    def result(self, future: Any) -> Any:
        """What a future that is not pending any more holds."""
        for patience in (10.0 * 2**n for n in itertools.count()):
            try:
                return future.result(timeout=patience)
            except Exception as error:
                if future.status == "error" and not isinstance(error, KilledWorker):
                    raise
                self.look()
                if future.status != "finished":
                    raise Lost(f"{self.address} was lost") from None
        raise Ended  # never: the tries have no end

    def look(self) -> None:
        if self.fleet.ended:
            raise Ended
        if self.address not in self.fleet.present:
            raise Lost(f"{self.address} was lost")

    def compute(self, task: Task, settings: Settings, _workspace: Path) -> tuple[Record, Outcome] | Failure:
        """`bench.engine.run.compute` there; the workspace is there too."""
        run = self.fleet.run
        given = partial(self.ask, dask_worker.compute_order, run)
        found = given(order(task, settings, self.threads))
        if isinstance(found, dask_worker.Missing):
            self.supply(task.data, settings)
            found = given(order(task, settings, self.threads))
        if isinstance(found, dask_worker.Stopped):
            raise OutOfTime(found.where)
        if isinstance(found, dask_worker.Missing):
            raise Broken("it does not keep the data that it has")
        if isinstance(found, Failure):
            return found
        record, outcome = found
        # Contracts are checked on this side, before any cell.
        return msgspec.structs.replace(record, contract=contract.passed(task.method, settings.cache)), outcome

    def supply(self, data: Data, settings: Settings) -> None:
        """Let the worker read the data, or send it the pixels."""
        run, sought = self.fleet.run, self.fleet.bare(data, settings)
        if self.ask(dask_worker.has_data, run, sought):
            return
        key, length = key_of(sought), len(data.images.flat)
        for start, block in blocks(data):
            self.ask(dask_worker.take_block, run, key, length, start, block)
        whole = self.ask(dask_worker.take_all, run, key, sought.pixels)
        if not (whole and self.ask(dask_worker.has_data, run, sought)):
            raise Broken(f"{data.spec.text} did not arrive whole")


def given_up(why: str) -> How:
    def fail(task: Task, _settings: Settings, _workspace: Path) -> Failure:
        return Failure(f"lost {TRIES} times with the worker that computed it: {why}, perhaps for want of memory",
                       computed(1, source_of(task.cell.method)))  # fmt: skip

    return fail
