"""The driver: studies, the store of their results, the runner and the command line ``hmoe``.

A study (a TOML file, `simulations.study`) is a grid of cells. The runner (`simulations.runner`) samples and fits each
of them once, in worker processes (`simulations.pool`), and the store (`simulations.store`) keeps every fit in one
SQLite file, with what was measured of it (`simulations.measures`), from which `simulations.summary` makes tables and
figures.

Linear algebra runs on one thread here, in this process as in every worker: processes are the parallelism, and a sum
split over two threads rounds differently from a sum on one, so the thread count would show in the last bit of the
results. The libraries read these variables when NumPy is first imported, hence the place of these lines.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"):
    os.environ[_name] = "1"


class UserError(ValueError):
    """What the user can mend: the command line prints the message, without a traceback."""
