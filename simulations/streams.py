"""Standard output and standard error as users leave them: closed, a pipe that nobody reads, a full disk, any encoding.

What is lost of the output is an error of the command; what is lost of its messages must not disturb its work.
"""

import os
import sys
from contextlib import contextmanager

NAMES = ("stdin", "stdout", "stderr")
BROKEN_PIPE = 141  # as a shell tells of SIGPIPE


class OutputLost(Exception):
    """Standard output takes no more; `code` is that of the command."""

    def __init__(self, error):
        reason = getattr(error, "strerror", None) or error
        super().__init__(f"standard output cannot be written: {reason}")
        self.code = BROKEN_PIPE if isinstance(error, BrokenPipeError) else 1


class _Stream:
    """A text stream that tells `lost` of what it cannot write."""

    def __init__(self, stream, lost):
        self._stream, self._lost = stream, lost

    def write(self, text):
        return self._tried("write", text)

    def writelines(self, lines):
        return self._tried("writelines", lines)

    def flush(self):
        if not self._stream.closed:  # where nothing was written nothing is lost, and others flush to be sure
            self._tried("flush")

    def _tried(self, name, *arguments):
        try:
            return getattr(self._stream, name)(*arguments)
        except (OSError, ValueError) as error:  # the second: it is closed
            self._lost(error)

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __iter__(self):
        return iter(self._stream)


@contextmanager
def guarded():
    """Within it, output that is lost raises `OutputLost`, at the latest at the end, and lost messages are let go.

    Characters that the encoding of a stream lacks are written as ``\\\\u6e29``.
    """
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in before]
    sys.stdout, sys.stderr = _Stream(before[0], _raise), _Stream(before[1], lambda _: None)
    for stream in before:
        _reconfigure(stream, "backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputLost:
        _drop(before[0])
        raise
    finally:
        sys.stdout, sys.stderr = before
        for stream, how in zip(before, errors, strict=True):
            _reconfigure(stream, how)


def _raise(error):
    raise OutputLost(error) from None


def _reconfigure(stream, errors):
    if errors is not None and hasattr(stream, "reconfigure"):
        try:
            stream.reconfigure(errors=errors)
        except (OSError, ValueError):  # it flushes first
            pass


def _open_what_is_closed():
    """Give closed descriptors to the null device, lest a results file be opened as one and be printed into.

    Standard output that was closed stays so: to write to it fails.
    """
    closed = [(name, mode) for name, mode in zip(NAMES, "rww", strict=True) if getattr(sys, name) is None]
    for _ in closed:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free; workers need it, too
    for name, mode in closed:
        setattr(sys, name, open(os.devnull, mode))
        if name == "stdout":
            sys.stdout.close()


def _drop(stream):
    """Send what a stream still holds to the null device, lest its end be another error."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):  # it has no descriptor, or is closed
        pass
