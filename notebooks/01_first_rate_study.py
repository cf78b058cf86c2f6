# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first rate study
#
# A mixture of experts is fitted by maximum likelihood. With the right number of experts its errors fall like
# $n^{-1/2}$. With one expert too many they fall more slowly, and *how* slowly depends on the parameter and on the
# gates. This essay measures it: sample, fit, see that the fit is what it claims to be, repeat, and read a rate plot.
#
# The model has two levels of gates, groups and experts in them:
#
# $$p_G(y \mid x) = \sum_i g_i(x) \sum_j g_{j|i}(x)\, N(y \mid \eta_{ij} x + \tau_{ij}, \nu_{ij}).$$
#
# Gates are softmaxes of $ax + b$ (letter S) or of $-|x - a| + b$ (Laplace, letter L); level 2 has $\omega, \beta$ for
# $a, b$. `"SS"` is softmax at both levels.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import hmoe_stats as hs
from simulations import page, runner, words
from simulations.store import Store
from simulations.study import Study
from simulations.summary import Summary

QUICK = os.environ.get("HMOE_NOTEBOOK_SIZE") == "quick"
law = hs.Uniform(-3, 3)
BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": [0.04, 4.0]}
plt.style.use(Path(hs.plotting.__file__).with_name("hmoe.mplstyle"))

# %% [markdown]
# ## A truth and a sample
#
# The truth C2 of the studies: two groups of two experts, well apart.

# %%
G0 = hs.datasets.truth("C2", gating="SS")
X, y = hs.sample(G0, 2000, x=law, seed=1)
G0.to_frame()

# %% [markdown]
# Fit it twice: with the right size, and with a third expert in group 0. `start=G0` and `local=True` ask for the best
# optimum near the truth, which is the estimator that the theory speaks of.

# %%
shapes = {"exact": (2, 2), "one more": (3, 2)}
fits = {
    name: hs.fit_mle(X, y, gating="SS", k2=k2, start=G0, local=True, n_starts=8, bounds=BOX, seed=1)
    for name, k2 in shapes.items()
}

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.8))
for ax, fit in zip(axes, fits.values(), strict=True):
    hs.plotting.fit_plot(fit.measure, X[:600], y[:600], ax)
plt.show()

# %% [markdown]
# Lines are experts with bands of two standard deviations, the strip below stacks their gates. On the right two experts
# of group 0 share what is one in truth. Nothing in the picture says that this model is any harder to estimate than the
# other.
#
# ## Is it the optimum?
#
# An optimum is shown and not claimed. The result carries its evidence: the score, which vanishes at an optimum; how
# many starts agree, how many optima were seen and how far below the best the second stands; the eigenvalues of the
# observed information.

# %%
for name, fit in fits.items():
    print(name, fit.measure.k2)
    print(f"  {fit.status}; score {fit.score_norm:.0e}; log-likelihood {fit.log_likelihood:.2f}")
    print(f"  {fit.n_agree} of {len(fit.starts)} starts agree; {fit.n_optima} optima, the second {fit.gap:.2f} below")
    print(f"  smallest eigenvalue {fit.smallest_eigenvalue:.1e}; bounds met: {', '.join(fit.active_bounds) or 'none'}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 2.9))
for k, (name, fit) in enumerate(fits.items()):
    look = {"color": hs.plotting.COLORS[k], "marker": hs.plotting.MARKERS[k], "label": name}
    left.semilogy(np.arange(1, len(fit.eigenvalues) + 1), fit.eigenvalues, linestyle="none", **look)
    ended = fit.starts[fit.starts["status"] != "behind"]["log_likelihood"]
    below = np.sort(fit.log_likelihood - ended)
    right.plot(np.arange(1, len(below) + 1), below, **look)
left.set(xlabel="eigenvalue", ylabel="observed information / n")
left.legend()
right.set(xlabel="start, the best first (without those that fell behind)", ylabel="log-likelihood below the best")
right.set_yscale("symlog", linthresh=0.01)
right.legend()
plt.show()

# %% [markdown]
# One expert more, and the spectrum grows a tail: directions in which the likelihood is nearly flat. These are the ones
# that will have slow rates. The starts tell the same: with the exact size they end at one optimum; with one expert more
# there is another within a log-likelihood unit of the best, and a search that ends there has another estimate.
#
# Which directions are flat? `null_directions` says it in the parameters' own words. Information 1 would be parameters
# that do not interact, 0 a combination that the likelihood ignores.

# %%
for name, fit in fits.items():
    flat = fit.null_directions()
    print(f"{name}: {len(flat)} flat directions")
    for row in flat.itertuples():
        print(f"  information {row.information:.3f}: {row.direction}")

# %% [markdown]
# ## Errors, cell by cell
#
# Experts have no names, and the over-specified fit has more of them than the truth. So fitted experts are sorted into
# the Voronoi cells of the true ones, and errors are averages over a cell: of each expert (`weighted`), or of the
# cell's centre of mass (`barycentre`). `size` counts the fitted experts in a cell.

# %%
errors = hs.parameter_errors(fits["one more"].measure, G0, x=law)
errors[errors["level"] == 2].pivot_table(index=["cell", "size", "kind"], columns="parameter", values="error").round(3)

# %% [markdown]
# Look at `eta` and `tau` in the cell of size 2: single experts miss by more than in cells of size 1, while their
# barycentre is as close as an exact expert is. The density knows the mean of the pair well, and its split badly.
#
# ## A study
#
# Now many samples of several sizes, under softmax and Laplace gates. A study is usually a TOML file run by
# `hmoe run`; here it is made in place. Its cells, fits keyed by (gating, fitted shape, n, replicate), go to one SQLite
# file, here a temporary one.

# %%
study = Study(
    name="first",
    title="One expert too many in group 0",
    truth="C2",
    gatings=["SS", "LL"],
    k2=[[2, 2], [3, 2]],
    n=[300, 600, 1200] if QUICK else [300, 1700, 10_000],
    replicates=3 if QUICK else 10,
    x={"law": "uniform", "low": -3.0, "high": 3.0},
    seed=11,
    statistics=["median", "mean"],
    fit={"start": "truth", "local": True, "n_starts": 2 if QUICK else 4, "bounds": BOX},
)
with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "first.sqlite", study, write=True) as store:
    runner.run(study, store, jobs=1, progress=False)
    results = store.frame(failed=True, progress=False)
one_a_fit = results.drop_duplicates(["gating", "k2", "n", "replicate"])
print(f"{len(study.cells())} fits:", one_a_fit["status"].value_counts().to_dict())

# %% [markdown]
# `boundary` is an optimum on the box, which counts; a fit without an optimum would be counted beside the rates and not
# dropped in silence. Here is the page of the study: the loss, then the parameters in the split cell, softmax beside
# Laplace gates, and what each rate says of theory. A rate is the `alpha` with which an error falls, like
# $n^{-\alpha}$.

# %%
found = Summary(study, results)
fig = page.figure(found)
fig.set_dpi(80)
display(fig)

# %% [markdown]
# And the same as a table, next to what theory says: `published` for the rate a paper states, `derived` for the sharper
# exponent derived for this package. The table holds slopes of log error on log n, which are *minus* alpha.

# %%
split = found.slopes.query("level == 2 and size == 2 and statistic == 'median' and parameter != 'beta'")
names = [words.quantity(row.level, row.size, row.parameter, row.kind) for row in split.itertuples()]
alpha = [words.rate(row.slope, row.ci_low, row.ci_high) for row in split.itertuples()]
shown = split.assign(quantity=names, alpha=alpha)[["gating", "quantity", "alpha", "alpha_published", "alpha_derived"]]
print(shown.to_string(index=False, float_format="{:.3f}".format, na_rep="-"))

# %% [markdown]
# ## Reading a rate plot
#
# Take one panel apart. Each point is a median over replicates in a bootstrap band; the thick line is least squares
# through the points; the bracket is a 95 % interval from resampling replicates; the thin lines have theory's rates.

# %%
cell = results.query("k2 == '3,2' and level == 2 and size == 2 and parameter == 'eta'")
theory = hs.theory.rates(G0, (3, 2)).query("m == 2 and parameter == 'eta'").set_index("kind")["alpha"]
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.3), sharey=True)
for ax, kind in zip(axes, ("weighted", "barycentre"), strict=True):
    part = cell[cell["kind"] == kind]
    references = {"derived, SS": theory[kind], "parametric": 0.5}
    hs.plotting.rate_plot(part, ax, statistic="median", references=references)
    ax.set_title(rf"$\eta$ in the split cell, {kind}", loc="left")
plt.show()

# %% [markdown]
# Five questions to ask of any such plot.
#
# 1. **How wide is the interval?** With a handful of replicates over one decade of $n$ it is wide, and theory's
#    exponents lie close together: most of them are not told apart here.
# 2. **Mean or median?** Over-specified likelihoods mix regimes: most fits are close, a few are far. The mean follows
#    the few.
# 3. **Is it a line?** A slope through a bend is an average of two slopes. `hs.fit_rate(..., n_min=...)` gives a local
#    one.
# 4. **Are the fits optima?** If the climb was cut short the slope is the stopping rule's: see *Why EM lies*.
# 5. **Can the error vanish at all?** If the parameter is not identified there is no rate to measure: see
#    *Identifiability traps*.

# %%
tau = results.query("k2 == '3,2' and size == 2 and parameter == 'tau' and kind == 'weighted'")
for gating, part in tau.groupby("gating", sort=False):
    for statistic in ("mean", "median"):
        print(f"tau, {gating}, {statistic:6}", hs.fit_rate(part["n"], part["error"], statistic))

# %% [markdown]
# No rate is claimed from so short a study. The shipped study `quick` has more than twice as many replicates, and
# `exact` checks that the whole machine finds $-1/2$ where it must.

# %% [markdown]
# ## What to try next
#
# - More replicates and a larger `n`: intervals shrink with the root of the first, and exponents part with the second.
# - `k2=[[3, 3]]`: both groups over-specified; `k2=[[4, 2]]`: how far does the *gate* of group 0 get?
# - `gatings=["SS", "SL", "LS", "LL"]`: which level makes the difference, the first or the second?
# - The same from the command line: `hmoe run quick`, `hmoe rates quick`, `hmoe plot quick`.
