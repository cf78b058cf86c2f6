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
# # Why EM lies
#
# EM climbs the likelihood by steps that never go down. It stops when a step is small. A small step is no small distance
# to the top: in an over-specified mixture the information matrix is singular, EM's steps shrink with it, and the
# stopping rule ends the climb long before the hill does.
#
# The damage is not a digit of the log-likelihood. A rate of convergence is a slope of *errors against n*, and a
# stopping rule depends on $n$ too. This essay measures how much of such a slope belongs to the estimator, and how much
# to the rule. The model is the smallest one that shows it: one softmax gate, two true experts, three fitted ones.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hmoe_stats as hs

QUICK = os.environ.get("HMOE_NOTEBOOK_SIZE") == "quick"
law = hs.Uniform(-3, 3)
BOX = {"omega": 3, "beta": 1.5, "nu": (0.04, 4)}
plt.style.use(Path(hs.plotting.__file__).with_name("hmoe.mplstyle"))

G0 = hs.MixingMeasure(
    gating="SS", k2=(2,), a=[[0.0]], b=[0.0], omega=[[-0.5], [0.5]], beta=[0.2, 0.0],
    eta=[[0.3], [-0.3]], tau=[-6.0, -2.0], nu=[0.4, 0.4],
)  # fmt: skip


# %%
def certified(X, y, k2, n_starts=8):
    """The best optimum local to the truth, by Newton's method from several starts; the result shows its score."""
    return hs.fit_mle(X, y, gating="SS", k2=k2, start=G0, local=True, n_starts=n_starts, bounds=BOX, seed=4)


def em(X, y, tol):
    """EM from the truth, with one of its experts split; `tol` is the last rise of the log-likelihood."""
    return hs.fit_em(X, y, gating="SS", k2=(3,), start=G0, tol=tol, max_iter=20_000, seed=4)


# %% [markdown]
# ## One climb
#
# One sample. EM runs until an iteration gains less than $10^{-5}$. The path of its log-likelihoods tells where looser
# rules would have stopped it. Newton's method, started where EM gave up, tells how high this hill is; Newton's method
# from several starts, whether it was the right one.

# %%
X, y = hs.sample(G0, 1000 if QUICK else 5000, x=law, seed=7)
nested, best = certified(X, y, (2,)), certified(X, y, (3,))
climb = em(X, y, tol=1e-4 if QUICK else 1e-5)
hill = hs.fit_mle(X, y, gating="SS", k2=(3,), start=climb.measure, n_starts=1, bounds={"omega": 20, "beta": 20})

rows = {"exact size, Newton": nested, "EM": climb, "Newton from EM's end": hill, "Newton, several starts": best}
pd.DataFrame(
    [(name, f"{f.log_likelihood:.3f}", f.n_iter, f"{f.score_norm:.0e}", f.status) for name, f in rows.items()],
    columns=["fit", "log-likelihood", "iterations", "score", "status"],
)

# %%
top = max(hill.log_likelihood, climb.log_likelihood)
left, steps = top - climb.path, np.diff(climb.path)
fig, ax = plt.subplots(figsize=(5.6, 3.2))
ax.plot(np.arange(len(left)) + 1, left, color="#0072B2", label="EM")
for tol, marker in ((1.0, "o"), (1e-1, "s"), (1e-2, "^"), (1e-3, "D"), (1e-4, "v")):
    stop = np.argmax(steps < tol) + 1
    ax.plot(stop + 1, left[stop], marker, color="#D55E00", label=f"stops at tol = {tol:g}, {left[stop]:.2f} to go")
ax.axhline(top - nested.log_likelihood, color="0.4", linestyle="--", label="exact size: two experts, one fewer")
ax.set(xscale="log", yscale="log", xlabel="EM iteration", ylabel="log-likelihood still to gain on this hill")
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# Read the orange marks: how much there was still to gain, against the tolerance that stopped the climb. A step of `tol`
# promises nothing of the kind. Marks above the dashed line are worse than embarrassing: the fit with three experts has
# a *lower* likelihood than the fit with two that it contains. No maximum-likelihood estimator can do that.

# %% [markdown]
# ## Nesting: a test that costs one more fit
#
# The larger model contains the smaller one, so twice the gain in log-likelihood is never negative at the optimum.
# Repeat the experiment over fresh samples of several sizes. Many packages use a *relative* tolerance, often $10^{-6}$:
# the log-likelihood is of the order of $n$, so in absolute units that rule loosens as $n$ grows.

# %%
SIZES = [300, 1000, 3000] if QUICK else [300, 1000, 3000, 10_000]
REPLICATES = 3 if QUICK else 12
TOLERANCES = [1.0, 0.1, 0.01] if QUICK else [3.0, 1.0, 0.3, 0.1, 0.03, 0.01]


def one(n, replicate):
    """All fits of one sample, a row a fit."""
    X, y = hs.sample(G0, n, x=law, seed=np.random.SeedSequence([20, n, replicate]))
    smaller = certified(X, y, (2,), n_starts=2)
    fits = {f"EM, tol = {tol:g}": em(X, y, tol) for tol in TOLERANCES}
    fits["EM, relative 1e-6"] = em(X, y, 1e-6 * abs(smaller.log_likelihood))
    fits["certified optimum"] = certified(X, y, (3,), n_starts=3 if QUICK else 8)
    for name, fit in fits.items():
        errors = hs.parameter_errors(fit.measure, G0, x=law).query("level == 2 and size == 2 and kind == 'weighted'")
        gain = 2 * (fit.log_likelihood - smaller.log_likelihood)
        row = {"n": n, "fit": name, "gain": gain, "score": fit.score_norm, "iterations": fit.n_iter}
        yield row | errors.set_index("parameter")["error"].to_dict()


table = pd.DataFrame([row for n in SIZES for replicate in range(REPLICATES) for row in one(n, replicate)])
below = table.assign(below=table["gain"] < -1e-6).pivot_table(index="fit", columns="n", values="below", sort=False)
below.map("{:.0%}".format)

# %% [markdown]
# That is the share of fits that end below their own nested model. The figure shows the gains themselves.

# %%
shown = ["EM, tol = 1", "EM, tol = 0.1", "EM, relative 1e-6", "certified optimum"]
rng = np.random.default_rng(0)
fig, ax = plt.subplots(figsize=(6.4, 3.4))
for k, name in enumerate(shown):
    rows = table[table["fit"] == name]
    at = np.searchsorted(SIZES, rows["n"]) + 0.19 * (k - 1.5) + rng.uniform(-0.05, 0.05, len(rows))
    ax.scatter(at, rows["gain"], s=10, color=hs.plotting.COLORS[k], marker=hs.plotting.MARKERS[k], label=name)
ax.axhline(0, color="black", linewidth=0.6)
ax.set_yscale("symlog", linthresh=1)
ax.set_xticks(range(len(SIZES)), [f"n = {n}" for n in SIZES])
ax.set_ylabel("2 (log-likelihood - that of the exact size)")
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# Nothing below zero is a maximum-likelihood estimate of anything. What lies above zero need not be one either: the
# score of the certified fits is at rounding, that of the stopped ones is not.

# %%
scores = table.groupby("fit", sort=False)[["score", "iterations"]].median()
scores.assign(score=scores["score"].map("{:.0e}".format))

# %% [markdown]
# ## Slopes made by stopping rules
#
# Now the rate plot that would be printed. The same samples, the same model, the same start; only the last steps of the
# climb differ.

# %%
derived = hs.theory.rates(G0, (3,)).query("level == 2 and m == 2 and kind == 'weighted'")
derived = derived.set_index("parameter")["alpha"]
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6))
for ax, parameter in zip(axes, ("tau", "eta"), strict=True):
    part = table[table["fit"].isin(shown)].assign(error=table[parameter]).dropna(subset="error")
    hs.plotting.rate_plot(part, ax, series="fit", references={"derived limit": derived[parameter]})
    ax.set_title(rf"$\{parameter}$ in the split cell, mean of {REPLICATES}", loc="left")
plt.show()

# %% [markdown]
# EM keeps what its start gave it. The split put two experts apart in $\tau$, and there they stay: $\tau$ looks as if it
# had no rate. It left $\eta$ at the truth, and there it stays too: the loosest rule has the *smallest* error, and beats
# the optimum. Both are properties of a start made from the truth, which no data analyst has.
#
# The slope as a function of the tolerance alone:

# %%
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3), sharey=True)
for ax, parameter in zip(axes, ("tau", "eta"), strict=True):
    rates = {name: hs.fit_rate(rows["n"], rows[parameter]) for name, rows in table.groupby("fit")}
    stopped = [rates[f"EM, tol = {tol:g}"] for tol in TOLERANCES]
    low, high = [rate.ci_low for rate in stopped], [rate.ci_high for rate in stopped]
    ax.fill_between(TOLERANCES, low, high, color="#0072B2", alpha=0.2, linewidth=0)
    ax.plot(TOLERANCES, [rate.slope for rate in stopped], "o-", color="#0072B2", label="EM, stopped")
    best = rates["certified optimum"]
    ax.axhspan(best.ci_low, best.ci_high, color="#CC79A7", alpha=0.15, linewidth=0)
    ax.axhline(best.slope, color="#CC79A7", label="certified optimum")
    ax.axhline(-derived[parameter], color="0.35", linestyle=":", label="derived limit")
    ax.set(xscale="log", xlabel="EM stops when an iteration gains less than", title=rf"slope of $\{parameter}$")
    print(f"{parameter}: certified {best}; EM at tol = 1 {rates['EM, tol = 1']}")
axes[0].legend(loc="lower right")
plt.show()

# %% [markdown]
# Bands are 95 % intervals. No tolerance of this range mends the slope of $\tau$. The certified one is steep at these
# $n$ and its interval is wide, as twelve replicates make it, but it is the slope of an estimator. Those of the stopped
# climbs are slopes of a rule and a start, and more replicates would only make them more precise.
#
# What protects a study: the score (print it, do not assume it), the nesting test, and several starts. `hs.fit_mle` does
# all three and says so in its result.

# %% [markdown]
# ## What to try next
#
# - Start EM without the truth (`start=None`): which slope does the same rule make now?
# - The exact size: replace `k2=(3,)` by `(2,)`. Information is regular there, and EM is honest. How loose may `tol` be?
# - Take `tol` proportional to 1 / n: does the artefact go away, and at what price in iterations?
# - A hierarchical model: the truth `hs.datasets.truth("C2")` with `k2=(3, 2)`.
