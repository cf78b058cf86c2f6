"""What an optimum is worth: why it may be no estimate, and which gates run to infinity."""

import numpy as np

from .. import kernels
from .problem import batches


def flaw(problem, z):
    """Why an optimum is no estimate: a variance on the default floor, an expert astray or with hardly any rows."""
    log_nu = (z * problem.scale - problem.default_floor)[problem.slices["log_nu"]]
    if (log_nu < 0.01).any():
        return "an expert's variance lies on the default floor"
    if not problem.is_home(z):
        return "an expert lies nearest to another group's expert of the start"
    if np.isinf(problem.default_floor[-1]):
        return ""  # the caller bounds the variances: every point of the box is an estimate
    G, held = problem.kernel_args(z), 0.0
    for rows in batches(problem.n):
        held += kernels.responsibilities(problem.X[rows], problem.y[rows], *G, 0.0)[1].sum(axis=1)
    if held.min() < problem.d + 2:
        return f"an expert holds fewer than {problem.d + 2} rows"
    return ""


def separated(problem, measure, X):
    """Names of softmax gates that cut the data cleanly: their slopes run to infinity, and the box alone stops them."""
    out = []
    gates = [("a", problem.kinds[0], measure.a, measure.b)]
    for i, (lo, hi) in enumerate(zip(problem.offsets[:-1], problem.offsets[1:], strict=True)):
        gates.append((f"omega, group {i}", problem.kinds[1], measure.omega[lo:hi], measure.beta[lo:hi]))
    for name, kind, slopes, intercepts in gates:
        if kind == 0 and intercepts.size > 1:
            lead = np.inf
            for rows in batches(problem.n):
                top_two = np.sort(X[rows] @ slopes.T + intercepts, axis=1)[:, -2:]
                lead = min(lead, (top_two[:, 1] - top_two[:, 0]).min())
            if lead > 8.0:
                out.append(f"{name} (the gate separates the data)")
    return tuple(out)
