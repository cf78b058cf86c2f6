"""Flat models of the data sets that ship: ours, the NumPy EM, and packages of R where R is installed.

K = 2 and 3 experts with a softmax gate, on the first covariate of each set, as the EM has one: the log-likelihood that
is reached, and CPU seconds. Ours is the default call; the others get `STARTS` starts, but MoEClust, which makes its
own, and the EM starts from clusters of (x, y), as some of ours do. flexmix has the gate as a concomitant model,
MoEClust as ``gating``; mixtools, whose gates are constant, fits a smaller model (`regmixEM`). The likelihood is
unbounded: the least variance, relative to that of y, stands beside it, and a value with a tiny one is no better fit.
"""

import shutil
import subprocess
import tempfile
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs
from hmoe_stats.fitting import starts
from hmoe_stats.fitting.problem import Problem

from . import numpy_em
from .own_data import SETS

STARTS, ITERATIONS, TOL = 10, 2000, 1e-8
INSTALL = "apt install r-base-core r-cran-flexmix r-cran-mixtools, and in R install.packages('MoEClust')"
R = """
data <- read.csv(commandArgs(TRUE)[1]); k <- as.integer(commandArgs(TRUE)[2]); tries <- as.integer(commandArgs(TRUE)[3])
set.seed(1)
fits <- list(
  flexmix = function() {
    suppressMessages(library(flexmix))
    gate <- FLXPmultinom(~x)
    fit <- stepFlexmix(y ~ x, data = data, k = k, nrep = tries, concomitant = gate, verbose = FALSE)
    c(as.numeric(logLik(fit)), min(parameters(fit)["sigma", ])^2)
  },
  mixtools = function() {
    suppressMessages(library(mixtools))
    best <- c(-Inf, NA)
    for (i in seq_len(tries)) {
      fit <- try(regmixEM(data$y, data$x, k = k, verb = FALSE), silent = TRUE)
      if (!inherits(fit, "try-error") && fit$loglik > best[1]) best <- c(fit$loglik, min(fit$sigma)^2)
    }
    best
  },
  MoEClust = function() {
    suppressMessages(library(MoEClust))
    fit <- MoE_clust(data$y, G = k, gating = ~x, expert = ~x, network.data = data, modelNames = "V", verbose = FALSE)
    c(as.numeric(fit$loglik[length(fit$loglik)]), min(fit$parameters$variance$sigmasq))
  }
)
for (name in names(fits)) if (requireNamespace(name, quietly = TRUE)) {
  capture.output({ begin <- proc.time(); found <- fits[[name]](); took <- sum((proc.time() - begin)[1:2]) })
  cat(name, found[1], found[2], took, sep = ","); cat("\\n")
}
"""


def data(name):
    """x and y of a set."""
    table = hs.datasets.load(name)
    table = table[[table.attrs["covariates"][0], table.attrs["response"]]].dropna().to_numpy(float)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


def ours(x, y, K):
    """Log-likelihood and least variance."""
    fit = hs.fit_mle(x, y, "SS", (K,))
    return fit.log_likelihood, fit.measure.nu.min()


def em(x, y, K):
    """The same, of the best run of the NumPy EM; variances are kept above a millionth of that of y."""
    rng, best = np.random.default_rng(1), (-np.inf, np.nan)
    mean, spread = x.mean(), x.std()
    x = (x - mean) / spread
    problem = Problem(x[:, None], y, "SS", (K,))
    for _ in range(STARTS):
        G, value = starts.from_clusters(problem, rng), -np.inf
        p = {name: getattr(G, name).copy() for name in ("b", "beta", "tau", "nu")}
        p |= {name: getattr(G, name)[:, 0].copy() for name in ("a", "omega", "eta")}
        for _ in range(ITERATIONS):
            before, (value, after) = value, numpy_em.step(p, x, y, (K,), "SS")
            if value - before < TOL:
                break
            p = after | {"nu": np.maximum(after["nu"], 1e-6 * y.var())}
        best = max(best, (value, p["nu"].min()))
    return best


def bench_peers(sets=SETS, experts=(2, 3)):
    """A row for each set, number of experts and method."""
    rows, r = [], shutil.which("Rscript")
    if r is None:
        print(f"flexmix, mixtools and MoEClust are left out, as there is no R: {INSTALL}")
    for name in sets:
        x, y = data(name)
        for K in experts:
            row = {"set": name, "rows": y.size, "K": K}
            for label, method in (("hmoe-stats", ours), ("NumPy EM", em)):
                if not rows:
                    method(x, y, K)  # compiled, or loaded, before the clock starts
                begin = time.process_time()
                value, nu = method(x, y, K)
                spent = time.process_time() - begin
                rows.append(row | {"method": label, "log-likelihood": value, "least nu": nu / y.var(), "CPU s": spent})
            for label, value, nu, spent in by_r(r, x, y, K) if r else ():
                rows.append(row | {"method": label, "log-likelihood": value, "least nu": nu / y.var(), "CPU s": spent})
    return pd.DataFrame(rows)


def by_r(rscript, x, y, K):
    """(package, log-likelihood, least variance, CPU seconds) of the packages of R that are installed."""
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder) / "data.csv", Path(folder) / "fits.R"
        pd.DataFrame({"x": x, "y": y}).to_csv(table, index=False)
        script.write_text(R, encoding="utf-8")
        run = [rscript, str(script), str(table), str(K), str(STARTS)]
        out = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    if not out:
        print(f"flexmix, mixtools and MoEClust are left out, as R has none of them: {INSTALL}")
        return []
    return list(pd.read_csv(StringIO(out), header=None).itertuples(index=False, name=None))
