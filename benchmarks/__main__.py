"""``python -m benchmarks [NAME]...``, names as below, or all: medians, and ratios within one run.

kernels: against the cost of their exponentials, logarithms and square roots in NumPy (the roofline), with our goals
beside, and against NumPy with logsumexp; in CPU time. Goals are for processors with AVX-512: without it NumPy, on x86,
takes exponentials one by one, and kernels stay far below the roofline.
fits: one fit from one start, against a NumPy EM and against SciPy's L-BFGS on our own score, in CPU time; EM is given
up to a thousand times as long, half an hour in all.
growth: time and memory over n, K and d. cold: the first fit of a fresh process, and of a fresh installation. driver:
what a study costs a cell besides its fits, and how fast `hmoe status` answers. stored: `hmoe status`, `table` and
`rates` on 1e5 stored cells. peers: flat models of real data, against NumPy EM and packages of R. figure: what the
tables show.
Tables go to the screen and to benchmarks/<name>.csv, whose last column says on what machine.
`python -m benchmarks.optimum` asks whether fits find the optimum, `python -m benchmarks.coverage` whether intervals
hold the truth, `python -m benchmarks.own_data` what fits say of rows that they have not seen,
`python -m benchmarks.selection` how often criteria find the right number of experts, `python -m benchmarks.large` what
fits to many rows take.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
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
from .driver import bench_driver, children  # noqa: E402
from .machine import machine  # noqa: E402
from .peers import bench_peers  # noqa: E402
from .stored import bench_stored  # noqa: E402

HERE = Path(__file__).parent
GOALS = {"log-likelihood": 1.4, "+ score": 2.0, "+ information": 6.0}  # of the roofline, 2 x 3 experts, d = 1
WIDE_INFORMATION = 3000.0  # ns a sample at most, 4 x 4 experts, d = 8: 5.8e4 products of scores, eight an instruction
BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}


def interleaved(functions, repeats):
    """Median CPU seconds of each function; they take turns, so that a slow spell of the machine meets them all."""
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            begin = time.process_time()
            function()
            times[name].append(time.process_time() - begin)
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
            args = (X, y, G.kernel_args(), 0.0)
            K, k1 = G.n_experts, G.k1
            exps, logs = K + (K - k1) + (k1 - 1), 1  # one component of every softmax needs none
            roots = K + k1 if gating == "LL" else 0  # a distance for every component
            small, unit = -rng.exponential(size=1024), rng.uniform(0.1, 1.0, 1024)
            out = np.empty(1024)

            def roofline(small=small, unit=unit, out=out, exps=exps, logs=logs, roots=roots):
                for _ in range(n // 1024 * exps):
                    np.exp(small, out=out)
                for _ in range(n // 1024 * logs):
                    np.log(unit, out=out)
                for _ in range(n // 1024 * roots):
                    np.sqrt(unit, out=out)

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
            goals = GOALS if d == 1 else {"+ information": WIDE_INFORMATION * 1e-9 * n / times["roofline"]}
            for name, seconds in times.items():
                row = {"d": d, "k2": "x".join(map(str, k2)), "gating": gating, "what": name}
                row |= {"ns a sample": seconds / n * 1e9, "ratio to roofline": seconds / times["roofline"]}
                rows.append(row | {"goal": goals.get(name, np.nan)})
    return pd.DataFrame(rows)


def bench_fits(sizes=(1_000, 10_000, 100_000), patience=1000.0):
    """One start, climbed by us, by L-BFGS and by NumPy EM towards the same log-likelihood, as far as each gets.

    Exact models start near the truth, over-specified ones at a split of the fitted exact one. EM is stopped at
    `patience` times our seconds; how far it still is from the optimum stands beside its time, and what it would need is
    extrapolated from the rate at which its last steps shrink.
    """
    rows = []
    for gating in ("SS", "LL"):
        G0 = hs.datasets.truth("C2", gating=gating)
        for k2 in ((2, 2), (3, 3)):
            for n in sizes:
                X, y = hs.sample(G0, n, x=hs.Uniform(-3, 3), seed=n)
                problem = Problem(X, y, gating, k2, BOX)
                rng = np.random.default_rng(n)
                if k2 == G0.k2:
                    G = starts.jitter(G0, X, rng, 0.5)
                else:
                    fit = hs.fit_mle(X, y, gating, G0.k2, start=G0, bounds=BOX, n_starts=1)
                    G, _ = starts.split(fit.measure, k2, X, rng, 4 * 4)
                z, eps = problem.from_measure(G), problem.smoothing
                maximise(problem, z, eps, 1e-9, max_iter=2)
                times = []
                for _ in range(3):
                    begin = time.process_time()
                    ours = maximise(problem, z, eps, 1e-9, max_iter=500)
                    times.append(time.process_time() - begin)
                seconds = float(np.median(times))
                row = {"model": gating, "fitted": "x".join(map(str, k2)), "n": n, "Newton s": seconds}
                row["iterations"] = ours.n_iter
                row |= lbfgs(problem, z, eps, ours.value, seconds)
                row |= em(problem.to_measure(z), X[:, 0], y, k2, gating, ours.value, patience, seconds)
                rows.append(row)
                print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def lbfgs(problem, z, eps, target, seconds):
    def objective(z):
        value, gradient = kernels.score(problem.X, problem.y, problem.kernel_args(z), eps)
        return -value, -gradient * problem.scale

    free = ~problem.fixed
    box = [(lo, hi) if f else (0.0, 0.0) for lo, hi, f in zip(problem.lower, problem.upper, free, strict=True)]
    objective(z)  # compiled, or loaded, before the clock starts
    begin = time.process_time()
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 1e-9 * problem.n}
    found = minimize(objective, z, jac=True, method="L-BFGS-B", bounds=box, options=options)
    took = time.process_time() - begin
    return {"L-BFGS / Newton": took / seconds, "L-BFGS short by": target + found.fun}


def em(G, x, y, k2, gating, target, patience, seconds):
    p = {name: getattr(G, name).copy() for name in ("b", "beta", "tau", "nu")}
    p |= {name: getattr(G, name)[:, 0].copy() for name in ("a", "omega", "eta")}
    begin, path = time.process_time(), []
    while time.process_time() - begin < patience * seconds:
        value, p = numpy_em.step(p, x, y, k2, gating)
        path.append(value)
        if value > target - 1e-3 or (len(path) > 5 and path[-1] - path[-2] < 1e-12):
            break
    took, short = time.process_time() - begin, target - path[-1]
    row = {"EM / Newton, so far": took / seconds, "EM iterations": len(path), "EM short by": short}
    steps = np.diff(path[-40:])
    if short < 1e-3:
        return row | {"EM / Newton, extrapolated": took / seconds}
    if len(steps) < 39 or not (steps > 0).all():
        return row | {"EM / Newton, extrapolated": np.nan}
    # steps shrink by a factor; what is left is their geometric sum, which must be the distance, else EM goes elsewhere
    factor = (steps[-1] / steps[0]) ** (1.0 / (steps.size - 1))
    left = steps[-1] * factor / (1.0 - factor) if factor < 1.0 else np.inf
    more = np.log(max(short / 1e-3, 1.0)) / -np.log(factor) if 0.5 < left / short < 2.0 else np.nan
    return row | {"EM / Newton, extrapolated": took / seconds * (1.0 + more / len(path))}


GROWTH = """
import sys, time
import numpy as np
import hmoe_stats as hs
def status(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1]) / 1024
n, box = int(sys.argv[1]), {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}
G0 = hs.datasets.truth("C2", "SS")
X, y = hs.sample(G0, 1000, x=hs.Uniform(-3, 3), seed=0)
hs.fit_mle(X, y, "SS", (2, 2), start=G0, n_starts=1, bounds=box)
X, y = np.empty((n, 1)), np.empty(n)
for k, first in enumerate(range(0, n, 100_000)):
    rows = slice(first, min(first + 100_000, n))
    X[rows], y[rows] = hs.sample(G0, rows.stop - first, x=hs.Uniform(-3, 3), seed=k)
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
before = status("VmRSS")
begin = time.perf_counter()
fit = hs.fit_mle(X, y, "SS", (2, 2), start=G0, n_starts=1, bounds=box)
print(time.perf_counter() - begin, fit.n_iter, fit.status, before, status("VmHWM"), (X.nbytes + y.nbytes) / 2**20)
"""


def bench_growth(sizes=(1_000, 10_000, 100_000, 1_000_000, 10_000_000)):
    """Over n: an SS 2 -> 2 fit from the truth in a process of its own, seconds and MiB. Over K and d: the kernels."""
    rows = []
    for n in sizes:
        out = subprocess.run([sys.executable, "-c", GROWTH, str(n)], capture_output=True, text=True, check=True).stdout
        seconds, n_iter, status, before, peak, data = out.split()
        row = {"what": "fit SS 2x2", "n": n, "K": 4, "d": 1, "seconds": float(seconds), "iterations": int(n_iter)}
        row |= {"status": status, "data MiB": float(data), "fit MiB": float(peak) - float(before)}
        row["peak MiB"] = float(peak)
        rows.append(row)
    for d, k2 in [(1, (2,) * k) for k in (1, 2, 4, 8)] + [(d, (2, 2)) for d in (2, 4, 8, 16)]:
        rng = np.random.default_rng(0)
        n, G = 20_000, random_measure("SS", k2, d, rng)
        args = (rng.uniform(-3, 3, (n, d)), 4 * rng.normal(size=n), G.kernel_args(), 0.0)
        names = ("log_likelihood", "score", "information")
        times = interleaved({name: lambda name=name, args=args: getattr(kernels, name)(*args) for name in names}, 5)
        row = {"what": "kernels SS", "n": n, "K": G.n_experts, "d": d}
        rows.append(row | {f"{name} ns a sample": seconds / n * 1e9 for name, seconds in times.items()})
    table = pd.DataFrame(rows)
    fits = table[table["what"] == "fit SS 2x2"]
    fixed = fits["seconds"].iloc[0]  # at n = 1e3 all but the fixed cost is small
    beyond = fits.iloc[2:]
    slope = np.polyfit(np.log(beyond["n"]), np.log(beyond["seconds"] - fixed), 1)[0]
    print(f"slope of log time beyond the fixed cost of {fixed:.3f} s, from n = {beyond['n'].iloc[0]}: {slope:.3f}")
    return table


FIRST = """
import hmoe_stats as hs
X, y = hs.sample(hs.datasets.truth("C2", "SS"), 1000, x=hs.Uniform(-3, 3), seed=0)
hs.fit_mle(X, y, "SS", (2, 2), n_starts=2)
"""


def bench_cold(repeats=5):
    """Whole processes: nothing but Python, imports, and a first fit with a warm cache and with none; CPU and wall."""
    codes = {"python": "pass", "import numba": "import numba", "import hmoe_stats": "import hmoe_stats"}
    codes |= {"first fit, warm cache": FIRST, "first fit, empty cache": FIRST}
    seen = {name: [] for name in codes}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(repeats):
            for name, code in codes.items():
                cache = f"{folder}/{turn}" if name.endswith("empty cache") else f"{folder}/warm"
                run = [sys.executable, "-c", code]
                if turn == 0 and name.endswith("warm cache"):
                    subprocess.run(run, env=os.environ | {"NUMBA_CACHE_DIR": cache}, check=True)
                begin, spent = time.perf_counter(), children()
                subprocess.run(run, env=os.environ | {"NUMBA_CACHE_DIR": cache}, check=True)
                seen[name].append((time.perf_counter() - begin, children() - spent))
    rows = []
    for name, times in seen.items():
        wall, cpu = np.median(times, axis=0)
        rows.append({"process": name, "s": wall, "CPU s": cpu})
    table = pd.DataFrame(rows)
    warm, empty = table["CPU s"].iloc[-2:]
    print(f"the first fit of an installation compiles for {empty - warm:.1f} s of CPU")
    return table


def bench_figure():
    """benchmarks.png, from the tables."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from hmoe_stats.plotting import style

    kernel, fits, growth = (pd.read_csv(HERE / f"{name}.csv") for name in ("kernels", "fits", "growth"))
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
        ours = kernel[~kernel["what"].isin(["roofline", "NumPy log-likelihood"])]
        for (d, k2, gating), rows in ours.groupby(["d", "k2", "gating"]):
            axes[0].plot(rows["what"], rows["ratio to roofline"], "o-", label=f"{gating}, {k2}, d = {d}")
        axes[0].axhline(1.0, color="0.6", lw=0.8)
        axes[0].set(yscale="log", ylabel="time / exponentials, logarithms, roots in NumPy", title="Kernels")
        for (model, fitted), rows in fits.groupby(["model", "fitted"]):
            n, newton = rows["n"], rows["Newton s"]
            (line,) = axes[1].plot(n, newton, "o-", label=f"{model}, 2x2 by {fitted}")
            plain = {"color": line.get_color(), "mfc": "none"}
            ratio = rows["EM / Newton, extrapolated"].fillna(rows["EM / Newton, so far"])
            axes[1].plot(n, newton * ratio, "s:", **plain)
            axes[1].plot(n, newton * rows["L-BFGS / Newton"], "^--", **plain)
        axes[1].set(xscale="log", yscale="log", xlabel="n", ylabel="CPU s a start")
        axes[1].set_title("Newton -, L-BFGS - -, EM ...")
        rows = growth[growth["what"] == "fit SS 2x2"]
        axes[2].plot(rows["n"], rows["seconds"], "o-", label="seconds")
        axes[2].plot(rows["n"], rows["fit MiB"] + rows["data MiB"], "s-", label="MiB, data and fit")
        axes[2].plot(rows["n"], rows["data MiB"], "k:", label="MiB, data")
        axes[2].set(xscale="log", yscale="log", xlabel="n", title="An exact SS fit")
        for ax in axes:
            ax.legend(fontsize="x-small")
        figure.savefig(HERE / "benchmarks.png", dpi=150)
        plt.close(figure)


def main(names):
    jobs = {"kernels": bench_kernels, "fits": bench_fits, "growth": bench_growth, "cold": bench_cold}
    jobs |= {"driver": bench_driver, "stored": bench_stored, "peers": bench_peers, "figure": bench_figure}
    for name in names or jobs:
        if name not in jobs:
            sys.exit(f"benchmarks: {name}: expected some of {', '.join(jobs)}")
        table = jobs[name]()
        if table is None:
            continue
        table.assign(machine=machine()).to_csv(HERE / f"{name}.csv", index=False, float_format="%.4g")
        text = table.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="")
        print(f"\n{name}, on {machine()}\n{text}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
