"""Computing cells on the workers of a Dask scheduler: one at a time on each, results stored by this side only.

Dask's own client is used, and not joblib's backend for it: where a task ends its worker again and again, that backend
never gives an answer (joblib 1.6 leaves `Parallel` waiting), it cannot keep tasks from workers of other versions that
join later, and nested `Parallel` calls of a cell would go to the cluster too.  Each cell is sent to a worker that is
free rather than left to the scheduler's queues: when a worker is lost, only what it computed is suspected, not what
waited there as well.
"""

import logging
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from concurrent.futures import Future as Local
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from distributed import Client
from tqdm import tqdm

from bench.engine import dask_worker
from bench.engine.data import Data
from bench.engine.elsewhere import Remote
from bench.engine.plan import Settings, Task
from bench.engine.remote import LOOK, TRIES, Broken, Ended, Lost, Worker, given_up
from bench.engine.shipping import Bare, Run, bare, run_of
from bench.errors import BenchError, StorageError, UsageError, counted, visible

CONNECT = 10.0  # seconds in which a scheduler must answer
ANSWER = 120.0  # seconds in which a new worker must have said what it is
FIRST = 60.0  # seconds in which there must be a worker
AGAIN = 600.0  # seconds in which others must take the place of workers that are all lost

Result = TypeVar("Result")


class Fleet:
    """The workers that a run may use, as they come and go.

    present: addresses.  refused: addresses of workers that are not used.
    """

    def __init__(self, client: Any, remote: Remote, run: Run) -> None:
        self.client, self.remote, self.run = client, remote, run
        self.present: Mapping[str, int] = {}
        self.workers: dict[str, Worker] = {}
        self.asked: dict[str, Local[str | None]] = {}
        self.refused: set[str] = set()
        self.busy: set[str] = set()
        self.ended = False
        self.bares: dict[str, Bare] = {}
        self.once = threading.Lock()
        self.own = dask_worker.about()
        self.threads = ThreadPoolExecutor(10_000)  # each waits for a worker; there are no more than workers
        self.seen = time.monotonic()

    def bare(self, data: Data, settings: Settings) -> Bare:
        """What is said of a data set, made once."""
        with self.once:
            if data.digest not in self.bares:
                self.bares[data.digest] = bare(data, settings.root, settings.seed)
            return self.bares[data.digest]

    def look(self) -> None:
        """Take in who has come and who is gone.  BenchError where there is nobody, nor has been for some time."""
        try:
            self.present = self.client.nthreads() if self.client.status == "running" else {}
        except (OSError, ValueError, RuntimeError, TimeoutError):
            self.present = {}
        if not self.present and self.client.status != "running":
            raise BenchError(f"the scheduler {self.remote.scheduler} is gone; finished cells are kept, run again")
        self.refused &= self.present.keys()
        for address in self.workers.keys() - self.present.keys():
            say(f"worker {address} is lost")
            del self.workers[address]
        for address, threads in self.present.items():
            if address not in self.workers and address not in self.refused and address not in self.asked:
                self.asked[address] = self.threads.submit(self.examine, Worker(address, threads, self))
        for address in [address for address, answer in self.asked.items() if answer.done()]:
            reason = self.asked.pop(address).result()
            if reason:
                self.refuse(address, reason)
            elif reason is not None and address in self.present:
                self.workers[address] = Worker(address, self.present[address], self)

    def examine(self, worker: Worker) -> str | None:
        """Why a worker cannot be used, in a line; empty where it can, None where it is gone."""
        try:
            versions = worker.ask(dask_worker.about, limit=ANSWER)
            return differing(versions, self.own) or worker.ask(dask_worker.lacks, self.run, limit=ANSWER)
        except (Lost, Ended) as error:
            return str(error) if worker.address in self.present and not self.ended else None

    def refuse(self, address: str, reason: str) -> None:
        self.refused.add(address)
        self.workers.pop(address, None)
        say(f"worker {address} is not used: {reason}")

    def require(self) -> None:
        """Wait for the first worker; UsageError where all that there are are refused, or none comes."""
        end = time.monotonic() + FIRST
        while True:
            self.look()
            if self.workers:
                return
            self.require_some()
            if not self.present and time.monotonic() > end:
                raise UsageError(f"no worker came to {self.remote.scheduler} within {FIRST:.0f} s; start some there")
            time.sleep(LOOK / 10)

    def require_some(self) -> None:
        """UsageError where there are workers, and all of them are refused."""
        if self.present and self.present.keys() <= self.refused:
            are = counted(len(self.present), "worker")
            raise UsageError(
                f"{are} of {self.remote.scheduler}, and none that can be used: give all the same versions and files"
            )

    def spread(self, call: Callable[..., Result], tasks: Sequence[Task], settings: Settings) -> Iterator[Result]:
        """Call a function with each task and how a worker computes it, in any order, as results come.

        A task whose worker is lost is given to another, `TRIES` times in all; then it is computed as a failure.
        """
        waiting, lost = deque(tasks), dict[int, list[str]]()
        running: dict[Local[Result], tuple[Task, str]] = {}
        while waiting or running:
            self.look()
            while waiting and (worker := self.free(lost.get(id(waiting[0]), []))):
                task = waiting.popleft()
                self.busy.add(worker.address)
                running[self.threads.submit(call, task, settings, how=worker.compute)] = task, worker.address
            if not running:
                self.expect()
                time.sleep(LOOK / 10)
                continue
            for answer in wait(running, LOOK, FIRST_COMPLETED).done:
                task, address = running.pop(answer)
                self.busy.discard(address)
                try:
                    yield answer.result()
                except Lost as error:
                    if isinstance(error, Broken):
                        self.refuse(address, str(error))
                    before = lost.setdefault(id(task), [])
                    before.append(address)
                    if len(before) < TRIES:
                        waiting.appendleft(task)
                    else:
                        yield call(task, settings, how=given_up(str(error)))

    def free(self, but: Sequence[str]) -> Worker | None:
        """A worker without a cell, best one that has not been lost on the cell at hand."""
        if self.remote.most and len(self.busy) >= self.remote.most:
            return None
        idle = [worker for address, worker in self.workers.items() if address not in self.busy]
        others = [worker for worker in idle if worker.address not in but]
        if others or self.workers.keys() <= set(but):
            idle = others or idle
        else:
            return None
        return idle[0] if idle else None

    def expect(self) -> None:
        """BenchError where for long there has been no worker, or all are refused."""
        self.require_some()
        if self.workers:
            self.seen = time.monotonic()
        elif time.monotonic() > self.seen + AGAIN:
            raise BenchError(
                f"no worker of {self.remote.scheduler} is left; finished cells are kept, run the same command again"
            )

    def end(self, stored: bool) -> None:
        """End what runs on the workers.  stored: whether all that was computed is."""
        self.ended = True
        if self.client.status == "running":
            # A worker that does not answer is not waited for.
            arguments = {"workers": list(self.present), "on_error": "ignore"}
            ending = threading.Thread(
                target=quietly, args=(self.client.run, dask_worker.end_run, self.run, stored), kwargs=arguments,
                daemon=True,
            )  # fmt: skip
            ending.start()
            ending.join(CONNECT)
        # Threads store what they have; one that an interrupt caught between two locks may wait for ever.
        closing = threading.Thread(target=self.threads.shutdown, kwargs={"cancel_futures": True}, daemon=True)
        closing.start()
        closing.join(3 * CONNECT)


@contextmanager
def connected(tasks: Sequence[Task], settings: Settings, remote: Remote) -> Iterator[Fleet]:
    """The workers that a run is computed on."""
    log = logging.getLogger("distributed")
    level, stored = log.level, True
    log.setLevel(logging.CRITICAL + 1)  # what matters of it is said in our own words
    client = None
    try:
        client = connect(remote.scheduler)
        fleet = Fleet(client, remote, run_of(tasks, settings, remote.device))
        try:
            fleet.require()
            yield fleet
        except StorageError:
            stored = False
            raise
        finally:
            fleet.end(stored)
    finally:
        if client is not None:
            quietly(client.close, timeout=CONNECT)
        log.setLevel(level)


class OwnClient(Client):
    """A client that is closed by who made it: one that never found its scheduler would take long to, and say so."""

    def __del__(self) -> None:
        pass


def connect(scheduler: str) -> Any:
    """A client of the scheduler at an address; UsageError where none answers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: those that matter are compared for each worker
            make: Any = OwnClient
            return make(scheduler, timeout=CONNECT, set_as_default=False)
    except Exception as error:  # whatever a wrong address leads to
        reason = f"no scheduler answers within {CONNECT:.0f} s"
        if not isinstance(error, OSError | TimeoutError):
            reason = visible(" ".join(f"{error}".split()))
        raise UsageError(f"--scheduler {scheduler}: {reason}") from error


def differing(versions: Mapping[str, str], own: Mapping[str, str]) -> str:
    """What a worker has in other versions, in words; empty where nothing."""
    names = [name for name in sorted(own.keys() | versions.keys()) if versions.get(name) != own.get(name)]
    code = [f"its code of bench is of commit {versions.get('commit')}, here {own['commit']}"]
    plain = [f"{name} {versions.get(name)}, here {own.get(name)}" for name in names if name not in UNSAID]
    return "; ".join(plain + (code if dask_worker.CODE in names else []))


UNSAID = (dask_worker.CODE, "commit")
"""Of the versions: a hash tells nobody anything, and commits of the same code may differ."""


def quietly(call: Callable[..., object], *arguments: object, **more: object) -> None:
    with suppress(Exception):
        call(*arguments, **more)


def say(line: str) -> None:
    with tqdm.external_write_mode():
        print(f"bench: {visible(line)}", file=sys.stderr, flush=True)
