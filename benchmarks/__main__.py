"""``python -m benchmarks [kernels] [fits]``: medians, and ratios against a baseline of the same run.

Kernels stand against the cost of their exponentials and logarithms in NumPy (the roofline) and against NumPy with
logsumexp; one fit from one start stands against a NumPy EM and against SciPy's L-BFGS on our own score.
Tables go to the screen and to benchmarks/<name>.csv.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

import hmoe_stats as hs  # noqa: E402
from hmoe_stats import kernels  # noqa: E402
from hmoe_stats.fitting import starts  # noqa: E402
from hmoe_stats.fitting.newton import maximise  # noqa: E402
from hmoe_stats.fitting.problem import Problem  # noqa: E402

from . import numpy_em  # noqa: E402

BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}


def interleaved(functions, repeats):
    """Median seconds of each function; they take turns, so that a slow spell of the machine meets them all."""
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - begin)
    return {name: float(np.median(t)) for name, t in times.items()}


def random_measure(gating, k2, d, rng):
    k1, K = len(k2), sum(k2)
    return hs.MixingMeasure(
        gating=gating, k2=k2, a=rng.normal(size=(k1, d)), b=rng.normal(size=k1), omega=rng.normal(size=(K, d)),
        beta=rng.normal(size=K), eta=rng.normal(size=(K, d)), tau=3 * rng.normal(size=K), nu=rng.uniform(0.3, 1.0, K),
    )  # fmt: skip


def numpy_log_likelihood(G, X, y):
    """Plain NumPy with logsumexp, any d."""
    from scipy.special import logsumexp

    def scores(letter, slopes):
        return X @ slopes.T if letter == "S" else -np.sqrt(((X[:, None, :] - slopes) ** 2).sum(axis=2))

    u, v = scores(G.gating[0], G.a) + G.b, scores(G.gating[1], G.omega) + G.beta
    log_g = u - logsumexp(u, axis=1, keepdims=True)
    parts = []
    for i, (lo, hi) in enumerate(zip(G.offsets[:-1], G.offsets[1:], strict=True)):
        log_h = v[:, lo:hi] - logsumexp(v[:, lo:hi], axis=1, keepdims=True)
        residual = y[:, None] - X @ G.eta[lo:hi].T - G.tau[lo:hi]
        parts.append(log_g[:, [i]] + log_h - 0.5 * (np.log(2 * np.pi * G.nu[lo:hi]) + residual**2 / G.nu[lo:hi]))
    return logsumexp(np.concatenate(parts, axis=1), axis=1).sum()


def bench_kernels(n=100_000):
    rows = []
    for d, k2 in ((1, (3, 3)), (8, (4, 4, 4, 4))):
        for gating in ("SS", "LL"):
            rng = np.random.default_rng(0)
            G = random_measure(gating, k2, d, rng)
            X, y = rng.uniform(-3, 3, (n, d)), 4 * rng.normal(size=n)
            args = (X, y, *G.kernel_args(), 0.0)
            K, k1 = G.n_experts, G.k1
            exps, logs = K + (K - k1) + (k1 - 1), 1  # one component of every softmax needs none
            small, unit = -rng.exponential(size=1024), rng.uniform(0.1, 1.0, 1024)
            out = np.empty(1024)

            def roofline(small=small, unit=unit, out=out, exps=exps, logs=logs):
                for _ in range(n // 1024 * exps):
                    np.exp(small, out=out)
                for _ in range(n // 1024 * logs):
                    np.log(unit, out=out)

            times = interleaved(
                {
                    "roofline": roofline,
                    "log-likelihood": lambda args=args: kernels.log_likelihood(*args),
                    "+ score": lambda args=args: kernels.score(*args),
                    "+ information": lambda args=args: kernels.information(*args),
                    "NumPy log-likelihood": lambda G=G, X=X, y=y: numpy_log_likelihood(G, X, y),
                },
                repeats=7,
            )
            for name, seconds in times.items():
                row = {"d": d, "k2": "x".join(map(str, k2)), "gating": gating, "what": name}
                rows.append(row | {"ns a sample": seconds / n * 1e9, "ratio to roofline": seconds / times["roofline"]})
    return pd.DataFrame(rows)


def bench_fits(sizes=(1_000, 10_000, 100_000), patience=20.0):
    """One start, climbed by us, by L-BFGS and by NumPy EM towards the same log-likelihood, as far as each gets.

    EM is stopped after `patience` seconds; how far it still is from the optimum stands beside its time.
    """
    rows = []
    for gating in ("SS", "LL"):
        G0 = hs.datasets.truth("C2", gating=gating)
        for k2 in ((2, 2), (3, 3)):
            for n in sizes:
                X, y = hs.sample(G0, n, x=hs.Uniform(-3, 3), seed=n)
                problem = Problem(X, y, gating, k2, BOX)
                rng = np.random.default_rng(n)
                G = starts.jitter(G0, X, rng, 0.1)
                if k2 != G0.k2:
                    fit = hs.fit_mle(X, y, gating, G0.k2, start=G0, bounds=BOX, n_starts=1)
                    G, _ = starts.split(fit.measure, k2, X, rng, 4 * 4)
                z, eps = problem.from_measure(G), problem.smoothing
                maximise(problem, z, eps, 1e-9, max_iter=2)
                begin = time.perf_counter()
                ours = maximise(problem, z, eps, 1e-9, max_iter=500)
                seconds = time.perf_counter() - begin
                row = {"model": gating, "fitted": "x".join(map(str, k2)), "n": n, "Newton s": seconds}
                row["iterations"] = ours.n_iter
                row |= lbfgs(problem, z, eps, ours.value, seconds)
                row |= em(problem.to_measure(z), X[:, 0], y, k2, gating, ours.value, patience, seconds)
                rows.append(row)
                print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def lbfgs(problem, z, eps, target, seconds):
    def objective(z):
        value, gradient = kernels.score(problem.X, problem.y, *problem.kernel_args(z), eps)
        return -value, -gradient * problem.scale

    free = ~problem.fixed
    box = [(lo, hi) if f else (0.0, 0.0) for lo, hi, f in zip(problem.lower, problem.upper, free, strict=True)]
    begin = time.perf_counter()
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 1e-9 * problem.n}
    found = minimize(objective, z, jac=True, method="L-BFGS-B", bounds=box, options=options)
    took = time.perf_counter() - begin
    return {"L-BFGS / Newton": took / seconds, "L-BFGS short by": target + found.fun}


def em(G, x, y, k2, gating, target, patience, seconds):
    p = {name: getattr(G, name).copy() for name in ("b", "beta", "tau", "nu")}
    p |= {name: getattr(G, name)[:, 0].copy() for name in ("a", "omega", "eta")}
    begin, path = time.perf_counter(), []
    while time.perf_counter() - begin < patience:
        value, p = numpy_em.step(p, x, y, k2, gating)
        path.append(value)
        if value > target - 1e-3 or (len(path) > 5 and path[-1] - path[-2] < 1e-12):
            break
    took = time.perf_counter() - begin
    # where EM is still short, or has settled elsewhere, the ratio is only a lower bound
    return {"EM / Newton, at least": took / seconds, "EM iterations": len(path), "EM short by": target - path[-1]}


def main(names):
    here = Path(__file__).parent
    jobs = {"kernels": bench_kernels, "fits": bench_fits}
    for name in names or jobs:
        if name not in jobs:
            sys.exit(f"benchmarks: {name}: expected some of {', '.join(jobs)}")
        table = jobs[name]()
        table.to_csv(here / f"{name}.csv", index=False, float_format="%.4g")
        print(f"\n{name}\n{table.to_string(index=False, float_format=lambda v: f'{v:.4g}')}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
