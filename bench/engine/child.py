"""A process beside a Dask worker, in which the worker's cells are computed, one at a time.

A cell does not run in the worker itself, for what runs in a thread cannot be ended when its run is interrupted, a
library that holds the interpreter for minutes lets the scheduler think that the worker is gone, and Dask ends a worker
by a memory that mapped images seem to take.  A worker under a nanny may start no process by `multiprocessing`.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from socket import socketpair
from typing import TypeVar

from bench.engine.workers import end_with
from bench.errors import BenchError
from bench.plugin.locate import describe
from bench.plugin.registry import PACKAGE

LOOK = 0.5  # seconds between two looks whether the process is still there
IDLE = 1800.0
"""Seconds after which a process that nobody asks for anything ends: who started it is gone."""

Result = TypeVar("Result")


class ChildDied(Exception):
    """The process was killed, or ended itself."""


class Child:
    """A process that calls functions; as many of them as like may ask it, one after the other.

    environment: what it has besides that of this process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        ours, its = socketpair()
        self.turn = threading.Lock()
        with its:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bench.engine.child", str(its.fileno()), str(os.getpid())],
                cwd=PACKAGE.parent, env={**os.environ, **environment}, pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.connection = Connection(ours.detach())

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """What a function of a module returns there; BenchError for whatever it raises, ChildDied where it ends."""
        with self.turn:
            try:
                self.connection.send_bytes(bytes(ForkingPickler.dumps((function, arguments))))
                while not self.connection.poll(LOOK):
                    if self.process.poll() is not None:
                        raise ChildDied
                done, found = pickle.loads(self.connection.recv_bytes())
            except (EOFError, OSError) as error:
                raise ChildDied from error
        if not done:
            raise found
        result: Result = found
        return result

    def end(self) -> None:
        """End the process, whatever it is busy with."""
        self.process.kill()
        self.process.wait()


def serve(descriptor: int, parent: int) -> None:
    """Call what is asked for, until nobody asks any more."""
    # Ctrl-C reaches every process of a terminal; the run that is interrupted ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(parent,), name="parent", daemon=True).start()
    connection = Connection(descriptor)
    while connection.poll(IDLE):
        try:
            asked = connection.recv_bytes()
        except EOFError:
            break
        connection.send_bytes(bytes(ForkingPickler.dumps(answer(asked))))
    os._exit(0)  # a thread that a plug-in left running is not waited for


def answer(asked: bytes) -> tuple[bool, object]:
    """Whether the call went well, and what it returned or an error."""
    try:
        function, arguments = pickle.loads(asked)
        return True, function(*arguments)
    except BenchError as error:
        return False, error
    except BaseException as error:  # a plug-in may raise anything, or try to end the process
        return False, BenchError(describe(error))


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
