"""From the words of a command line to an exit code; every error that a user can mend is one line on standard error."""

import importlib
import io
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from bench.budget import EXIT_CODE, OutOfTime, limited
from bench.cli.output import Stream, guard_streams
from bench.cli.parser import build_parser
from bench.errors import BenchError, visible

INTERRUPTED, TERMINATED = 130, 143
PATIENCE = 2.0  # seconds
KEPT = "finished cells are kept, run the same command again to go on"
MODULES = {
    "list": "listing",
    "run": "running",
    "prepare": "running",
    "check": "running",
    "pretrain": "running",
    "doctor": "machine",
    "table": "reading",
    "plot": "plotting",
    "report": "report",
    "export": "reading",
    "init-method": "own",
    "init-dataset": "own",
    "features": "own",
    "speed": "speed",
    "status": "reading",
    "compare": "reading",
    "ranks": "ranks",
    "adopt": "upkeep",
}
"""The module of each command, imported when it is called: `list` and `--help` answer at once."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C, it ends all that is running."""


def console() -> NoReturn:
    """The whole process: `main`, with streams that may be full or closed, and SIGTERM answered like Ctrl-C."""
    streams = guard_streams()
    signal.signal(signal.SIGTERM, terminate)
    try:
        code = main()
    except SystemExit as done:  # argparse's, after --help or --version
        code = done.code if isinstance(done.code, int) else 0
    leave(end(streams, code))


def terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def end(streams: Sequence[Stream], code: int) -> int:
    """Write out what is buffered; the exit code, 1 in place of 0 where standard output could not be written to."""
    for stream in streams:
        stream.flush()
    out = streams[0]
    if out.error is None or isinstance(out.error, BrokenPipeError):
        # The reader of a pipe (head, say) has what it wanted.
        return code
    print(f"bench: cannot write to standard output: {out.error.strerror}", file=sys.stderr, flush=True)
    return code or 1


def leave(code: int) -> NoReturn:
    """End the process.  A thread that a plug-in left running would keep it alive for ever: it is waited for no longer
    than `PATIENCE`, in which threads of the harness's own end."""
    end = time.monotonic() + PATIENCE
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be text: what is not is printed as escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = build_parser().parse_args(arguments)
        return call(options)
    except BenchError as error:
        print(f"bench: {visible(str(error))}", file=sys.stderr)
        return error.exit_code
    except OutOfTime as error:
        # A training says where it was: it alone writes a checkpoint.
        kept = f" at {error}; a checkpoint is kept, the same command goes on" if str(error) else f"; {KEPT}"
        print(f"bench: out of time{kept}", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt as error:
        word, code = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        print(f"bench: {word}; {visible(str(error)) or KEPT}", file=sys.stderr)
        return code


def call(options: Namespace) -> int:
    """The command that was named.  A plug-in that tries to end the process is an error like any other."""
    from bench.cli.plugins import added_plugins

    try:
        with limited(getattr(options, "budget", None)), added_plugins(options.plugins):
            module = importlib.import_module(f"bench.cli.{MODULES[options.command]}")
            command: Callable[[Namespace], int] = getattr(module, f"{options.command.replace('-', '_')}_command")
            return command(options)
    except SystemExit as error:
        from bench.plugin.locate import describe

        raise BenchError(f"a plug-in tried to end the process: {describe(error)}") from error
