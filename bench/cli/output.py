"""Standard streams that may be full, closed, or a pipe that nobody reads any more: what runs is never lost for it."""

import io
import os
import sys

from bench.errors import visible


class Stream(io.TextIOWrapper):
    """Text to a file descriptor; once that cannot be written to, text goes nowhere.  error: why it cannot."""

    def __init__(self, descriptor: int, closed: bool) -> None:
        self.raw_stream = Raw(descriptor, closed)
        terminal = not closed and os.isatty(descriptor)
        super().__init__(
            io.BufferedWriter(self.raw_stream), encoding="utf-8" if closed else None, errors="backslashreplace",
            line_buffering=terminal or descriptor == 2,
        )  # fmt: skip

    @property
    def error(self) -> OSError | None:
        return self.raw_stream.error


class Raw(io.RawIOBase):
    """Bytes to a file descriptor, or nowhere once there was an error."""

    def __init__(self, descriptor: int, closed: bool) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = OSError(9, "it is closed") if closed else None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return self.error is None and os.isatty(self.descriptor)

    def write(self, data, /) -> int:  # type: ignore[no-untyped-def]  # any buffer
        if self.error is None:
            try:
                return os.write(self.descriptor, data)
            except OSError as error:
                self.error = error
        return len(data)


def guard_streams() -> tuple[Stream, Stream]:
    """Put such streams in place of standard output and standard error."""
    closed = [stream is None for stream in (sys.stdout, sys.stderr)]
    hold_descriptors()
    out, err = (Stream(number, shut) for number, shut in zip((1, 2), closed, strict=True))
    sys.stdout, sys.stderr = out, err
    return out, err


def hold_descriptors() -> None:
    """Open what is closed of the first three descriptors on nothing: else the next file that is opened becomes one."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def say(line: str) -> None:
    """A line on standard error, for people; what cannot be seen in a name stands as an escape."""
    print(visible(line), file=sys.stderr)
