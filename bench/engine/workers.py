"""Processes that compute: as many as asked for, gone with their parent."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky import ProcessPoolExecutor, get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from bench.budget import shared, shielded
from bench.engine.plan import Settings
from bench.errors import BenchError

PARENT_WAIT = 1.0  # seconds between a worker's looks for its parent

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(
    call: Callable[[Item, Settings], Result], items: Sequence[Item], settings: Settings, ordered: bool = True
) -> Iterator[Result]:
    """Call a function on each item in `jobs` processes, or in this one for one job."""
    if settings.jobs == 1 or not items:
        yield from (call(item, settings) for item in items)
        return
    # One worker is two: joblib would stay in this process, which must outlive whatever a plug-in does to its own.
    workers = max(2, min(settings.jobs, len(items)))
    how = "generator" if ordered else "generator_unordered"
    parallel = Parallel(n_jobs=workers, return_as=how, batch_size=1)
    with warnings.catch_warnings():
        # An interrupt cancels tasks: that is what the user asked for.
        warnings.filterwarnings("ignore", message=".*still being processed by the workers have been cancelled")
        # Where psutil is installed, a worker that has grown is replaced by a fresh one.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given to the executor")
        try:
            yield from parallel(delayed(work)(call, item, settings, os.getpid()) for item in items)
        except TerminatedWorkerError as error:
            raise BenchError(
                "a worker process was killed, perhaps for want of memory; finished cells are kept, run the same command"
                " again with fewer --jobs"
            ) from error


@contextmanager
def ending_workers() -> Iterator[None]:
    """At the end, end the processes that each `spread` within left waiting for more work.

    The thread that tends them would keep this process alive, until it is cut short and their semaphores are reported as
    leaked.  They are killed, for a thread that a plug-in left running would keep one of them alive.
    """
    try:
        yield
    finally:
        if any(thread.name == "ExecutorManagerThread" for thread in threading.enumerate()):
            with shielded():
                get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def work(call: Callable[[Item, Settings], Result], item: Item, settings: Settings, parent: int) -> Result:
    """Call a function in a process of its own, which ends with its parent."""
    # Ctrl-C reaches every process of the terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not any(thread.name == "parent" for thread in threading.enumerate()):
        threading.Thread(target=end_with, args=(parent,), name="parent", daemon=True).start()
    with shared(settings.budget):
        return call(item, settings)


def end_with(parent: int) -> None:
    """End this process, whatever it is busy with, once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(PARENT_WAIT)
    os._exit(1)


def in_another_process(call: Callable[..., Result], *arguments: object) -> Result:
    """What a function returns in a process of its own; threads that it leaves running there are not waited for."""
    process = ProcessPoolExecutor(1)
    try:
        found: Result = process.submit(call, *arguments).result()
    finally:
        process.shutdown(kill_workers=True)
    return found
