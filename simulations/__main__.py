"""``hmoe``, and ``python -m simulations``: the command line, which Ctrl-C ends from its first line to its last.

Libraries take seconds to import, and an exception that is raised in the middle of that may be swallowed by one of them,
or told of in a traceback; so may one that is raised while the interpreter winds up. Until a run takes Ctrl-C into its
own hands (`simulations.runner`), and after it, there is nothing to lose: the process ends where it stands.
"""

import os
import signal
import sys


def main():
    """Run the command line; exit code 130 if it is interrupted."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # where it is ignored, it stays so
        signal.signal(signal.SIGINT, _leave)
    from .cli import app

    app(prog_name="hmoe")


def _leave(*_):
    try:
        sys.stdout.flush()
        os.write(2, b"hmoe: interrupted\n")
    finally:  # whatever is closed, or full
        os._exit(130)


if __name__ == "__main__":  # worker processes import this module again
    main()
