"""State that plug-ins may leave behind in a process, put back as it was: no cell depends on those before it."""

import gc
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

Restore = Callable[[], None]


@contextmanager
def isolated() -> Iterator[None]:
    """Put back, at the end, the state of the process that numbers or messages may depend on.

    That is: numpy's and Python's global generators and handling of numerical errors, filters of warnings, environment,
    current folder, standard streams, answers to signals and to uncaught errors, the mask of new files' rights, and
    torch's default type, device, threads, generators and switches.
    torch is not imported for it; where a cell imports it, its defaults are set again.
    """
    had_torch = "torch" in sys.modules
    with warnings.catch_warnings(), ExitStack() as later:
        for save in (save_python, save_process, save_numpy, *((save_torch,) if had_torch else ())):
            later.callback(save())
        if not had_torch:
            later.callback(reset_torch)
        yield


def save_python() -> Restore:
    state, environment = random.getstate(), dict(os.environ)
    streams, recursion = (sys.stdin, sys.stdout, sys.stderr), sys.getrecursionlimit()
    try:
        folder: str | None = os.getcwd()
    except OSError:  # it was deleted
        folder = None

    def restore() -> None:
        random.setstate(state)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        if folder is not None:
            os.chdir(folder)
        sys.stdin, sys.stdout, sys.stderr = streams
        sys.setrecursionlimit(recursion)

    return restore


def save_process() -> Restore:
    """What decides how the process ends, fails, and writes files."""
    arguments, hooks = list(sys.argv), (sys.excepthook, threading.excepthook)
    collects, silenced = gc.isenabled(), logging.root.manager.disable
    mask = os.umask(0o077)  # it can be read only by setting it
    os.umask(mask)
    # Signals are the main thread's; a handler that was not set from Python is None and stays.
    here = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if here else {}

    def restore() -> None:
        sys.argv[:] = arguments
        sys.excepthook, threading.excepthook = hooks
        (gc.enable if collects else gc.disable)()
        logging.disable(silenced)
        os.umask(mask)
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)

    return restore


def save_numpy() -> Restore:
    # The global generator is what is saved: a plug-in may use it, though it should not.
    state = np.random.get_state()  # noqa: NPY002
    errors, call, printing = np.geterr(), np.geterrcall(), np.get_printoptions()

    def restore() -> None:
        np.random.set_state(state)  # noqa: NPY002
        np.seterr(**errors)
        np.seterrcall(call)
        np.set_printoptions(**printing)

    return restore


def save_torch() -> Restore:
    """Every switch of torch that numbers depend on, as it is now."""
    torch: Any = sys.modules["torch"]

    state = torch.get_rng_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    switches = switches_of(torch)

    def restore() -> None:
        set_switches(torch, switches)
        torch.set_rng_state(state)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)

    return restore


def reset_torch() -> None:
    """The defaults of torch, where a plug-in was the first to import it: one thread, as for all that does not train."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_default_dtype"):
        defaults = {"threads": 1, "dtype": torch.float32, "device": torch.device("cpu"), "grad": True}
        exact = {"deterministic": (False, False), "precision": "highest", "cudnn": (False, False)}
        set_switches(torch, {**defaults, **exact})


def switches_of(torch: Any) -> dict[str, Any]:
    cudnn = torch.backends.cudnn
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return {
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), warns),
        "precision": torch.get_float32_matmul_precision(),
        "cudnn": (cudnn.benchmark, cudnn.deterministic),
    }


def set_switches(torch: Any, values: dict[str, Any]) -> None:
    torch.set_num_threads(values["threads"])
    torch.set_default_dtype(values["dtype"])
    # A default device costs a look at every call of torch: the one that is the default anyway is not set.
    if torch.get_default_device() != values["device"]:
        torch.set_default_device(None if values["device"] == torch.device("cpu") else values["device"])
    torch.set_grad_enabled(values["grad"])
    on, warns = values["deterministic"]
    # Setting it imports torch's compiler, which takes seconds: what is so already is not set.
    if switches_of(torch)["deterministic"] != (on, warns):
        torch.use_deterministic_algorithms(on, warn_only=warns)
    torch.set_flush_denormal(False)  # torch does not say how it is set; nothing here sets it
    torch.set_float32_matmul_precision(values["precision"])
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = values["cudnn"]
