"""``speed``: the measurements that come with a clone, in a process of its own on one thread."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence

from bench.errors import BenchError, UsageError
from bench.plugin.registry import ROOT

MEASURE = "tests.benchmarks.speed"
FILES = ("json", "against")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Read when BLAS is loaded: they are set for the process before it starts."""
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": f"{2**25}", "MALLOC_TRIM_THRESHOLD_": f"{2**30}"}
"""glibc gives back less memory the more it was asked for: a case's number would depend on those before it."""


def speed_command(options: Namespace) -> int:
    """Measure; the exit code of the process that does."""
    if not ROOT.joinpath(*MEASURE.split(".")).is_dir():
        raise UsageError("the measurements come with a clone of bench: run speed there")
    if options.json and options.against and os.path.realpath(options.json) == os.path.realpath(options.against):
        raise UsageError(f"--json and --against both name {options.json}: the earlier run would be written over")
    wanted = {"only": options.only, "list": options.list, "budget": options.time}
    # It runs in the clone, wherever the command was given.
    wanted |= {name: path and os.path.abspath(path) for name, path in vars(options).items() if name in FILES}
    with tempfile.TemporaryDirectory(prefix="bench-speed-") as folder:
        # What is measured leaves nothing behind, killed or not, and finds nothing of the user's.
        own = {"TMPDIR": folder, "BENCH_CACHE": f"{folder}/cache", "BENCH_RESULTS": f"{folder}/results"}
        environment = {**os.environ, **dict.fromkeys(THREADS, "1"), **KEPT_MEMORY, **own}
        command = [sys.executable, "-m", MEASURE, json.dumps(wanted)]
        try:
            code = run_alone(command, environment)
        except KeyboardInterrupt as stop:
            kept = f"the cases measured so far are in {options.json}" if options.json else "nothing is kept"
            raise type(stop)(kept) from None
    if code < 0:
        raise BenchError(f"the process that measures was ended by signal {-code}")
    return code


def run_alone(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code of a process; where this one is interrupted, that one ends with all that it has started."""
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            return process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
