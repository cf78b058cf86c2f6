"""Settings and helpers shared by the tests: sizes that suit the interpreter, and keyed random generators."""

import os
import signal
import zlib

os.environ.setdefault("MPLBACKEND", "Agg")  # before anything imports matplotlib

import numpy as np
import pytest
from hypothesis import settings

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores what tests send

# Without the compiler the kernels run as plain Python, two to three orders of magnitude slower.
PURE_PYTHON = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def scale(n, pure=40):
    """The size `n`, cut to at most `pure` where kernels run as plain Python."""
    return min(n, pure) if PURE_PYTHON else n


def moved(argument):
    """A copy of an array, or of a tuple with its arrays copied, that may be written to where the original may."""
    if isinstance(argument, tuple):
        return tuple(map(moved, argument))
    if not isinstance(argument, np.ndarray):
        return argument
    copy = argument.copy()
    copy.flags.writeable = argument.flags.writeable
    return copy


@pytest.fixture
def rng(request):
    """A generator keyed by the name of the test and its parameters: the same in every run and order."""
    return np.random.default_rng(np.random.SeedSequence([20241002, zlib.crc32(request.node.name.encode())]))
