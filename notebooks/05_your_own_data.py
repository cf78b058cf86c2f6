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
# # Your own data
#
# The other essays know the truth. Here there is none, only a table: the acceleration of a head in a helmet after a
# simulated motorcycle accident (Schmidt, Mattern and Schüler 1981). This is one analysis from the first look to the
# last doubt, with the questions in the order in which they should be asked. Put your own table in the second cell.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hmoe_stats as hs

QUICK = os.environ.get("HMOE_NOTEBOOK_SIZE") == "quick"
plt.style.use(Path(hs.plotting.__file__).with_name("hmoe.mplstyle"))

# %%
data = hs.datasets.load("motorcycle")
X, y = data[data.attrs["covariates"]], data[data.attrs["response"]]
print(data.attrs)
pd.concat([X, y], axis=1).describe().round(1)

# %% [markdown]
# ## Look first
#
# Three things are to be seen without any model. Nothing happens for a while, then much does, then it ebbs away: the
# mean is no line. The spread is no constant either: before the impact it is nearly nothing. And some times occur
# several times: this is not one accident that was filmed, but several, of which the table does not say which row
# belongs to which.

# %%
fig, ax = plt.subplots(figsize=(5, 3))
ax.plot(X["times"], y, "o", markersize=3, alpha=0.5, color=hs.plotting.COLORS[0])
ax.set(xlabel="times [ms]", ylabel="accel [g]")
plt.show()
early = X["times"] < 14
print(f"{len(y)} rows, {X['times'].nunique()} different times")
print(f"standard deviation of accel: {y[early].std():.1f} before 14 ms, {y[~early].std():.1f} later")
assert X["times"].nunique() < len(y)
assert y[early].std() < 0.1 * y[~early].std()

# %% [markdown]
# ## Why not maximum likelihood
#
# The likelihood of a Gaussian mixture has no maximum: an expert that runs through a few rows exactly has a density
# there without bound. `hs.fit_mle` looks for the best *sound* optimum and says in `warnings` what else should make one
# pause. `hs.fit`, for own data, takes a small penalty off for tiny variances and for gates that run to steps. That is
# a choice, and the summary shows it.

# %%
EFFORT = "quick"
plain = hs.fit_mle(X, y, "SS", (2, 2), effort=EFFORT)
fit = hs.fit(X, y, "SS", (2, 2), effort=EFFORT)
for name, one in (("fit_mle", plain), ("fit", fit)):
    print(f"{name}: {one.status} ({one.message}), log-likelihood {one.log_likelihood:.2f}")
    print(f"  smallest standard deviation of an expert {np.sqrt(one.measure.nu.min()):.2f} g")
    print("".join(f"  warning: {text}\n" for text in one.warnings), end="")

# %%
hs.compare({"fit_mle": plain, "fit": fit}).round(2)

# %% [markdown]
# Two groups of two experts, softmax gates on both levels. Read the drawing from left to right, with the share of rows
# that each branch takes; lines are in the units of the table.

# %%
fig, ax = plt.subplots(figsize=(7, 2.7))
fit.plot("tree", ax)
plt.show()
fig, ax = plt.subplots(figsize=(5.6, 3.4))
fit.plot("fit", ax)
plt.show()

# %%
fit.summary()

# %% [markdown]
# Standard errors are those of the penalised likelihood, for a model that is right in its form and for rows that are
# independent. The first we can look into. The second we know to be wrong here.
#
# Some parameters have no standard error at all, and the table says why.
#
# Slopes of gates are no effects: a gate only says which line is in charge. What can be compared with anything else is
# the mean of y given x, and its interval.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4))
fit.plot("intervals", axes[0])
fit.plot("intervals", axes[1], of="gates")
plt.show()

# %% [markdown]
# ## How many experts
#
# Criteria do not ask the same (see `hmoe_stats.selection.candidates`). BIC and ICL are smaller for a better model;
# `cv`, the mean log-density of held-out rows, is larger. Here they agree. By how much is the better question: the
# difference of two models in `cv` has a standard error, from the rows' own differences.

# %%
SHAPES = [(2,), (3,), (2, 2)] if QUICK else [(1,), (2,), (3,), (4,), (5,), (2, 2)]
CRITERIA = ("bic", "icl") if QUICK else ("bic", "icl", "cv")
found = hs.select(X, y, gatings="SS", shapes=SHAPES, criteria=CRITERIA, folds=4)
best = {name: found.best(name).measure.k2 for name in CRITERIA}
print(best)
if not QUICK:
    assert set(best.values()) == {(2, 2)}
    difference = found.held_out["SS", (2, 2)] - found.held_out["SS", (5,)]
    error = difference.std(ddof=1) / np.sqrt(len(y))
    print(f"cv of (2, 2) less that of (5,): {difference.mean():.3f}, standard error {error:.3f}")
    assert abs(difference.mean()) < error
found.table[["k2", "log_likelihood", "df", "status", *CRITERIA]].round(2)

# %%
fig, ax = plt.subplots(figsize=(4.6, 3))
found.plot(ax, criterion="bic")
plt.show()

# %% [markdown]
# For rows that were held out a flat model of five experts is as good, within that error. The tree (2, 2) has as many
# parameters as the flat model with four. That it is the better one of these by likelihood does not prove that there are
# two groups: a tree is another family of gates. The question for the groups is whether they come back.

# %%
if not QUICK:
    table = found.table.set_index("k2")
    tree, flat = (table.loc[[shape]].iloc[0] for shape in ((2, 2), (4,)))
    assert tree["df"] == flat["df"]
    assert tree["log_likelihood"] > flat["log_likelihood"]
again = hs.selection.stability(X, y, "SS", (2, 2), n=1 if QUICK else 3, effort="quick")
print(again)
again.table.round(2)

# %% [markdown]
# Each row compares fits to two halves of the rows. The number to hold an index against is not 0 but, for groups,
# `groups_null`: what it would be if the second fit's leaves were put into groups at random.

# %% [markdown]
# ## Is the model right
#
# Quantile residuals are independent standard normal variables if it is.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4))
fit.plot("residuals", axes[0], along="times")
fit.plot("qq", axes[1])
plt.show()

# %% [markdown]
# It is not quite: residuals vary too little. The next table asks where, and whether the penalty does it: with either
# part of it off, and with none, standard deviations of the residuals of all rows and of stretches of time. Of a right
# model they are 1.

# %%
others = {"no variance part": {"variance": 0.0}, "no ridge": {"ridge": 0.0}}
fits = {"default": fit} | {
    name: hs.fit(X, y, "SS", (2, 2), penalty=part, effort=EFFORT) for name, part in others.items()
}
fits["none: fit_mle"] = plain
stretch = pd.cut(X["times"], [0, 14, 33, 38, 60]).astype(str).to_numpy()
spread = pd.DataFrame({name: pd.Series(one.residuals()).groupby(stretch).std() for name, one in fits.items()}).T
spread.insert(0, "all rows", [one.residuals().std() for one in fits.values()])
spread["smallest sd of an expert"] = [np.sqrt(one.measure.nu.min()) for one in fits.values()]
assert spread["all rows"].idxmin() == "default"
assert spread["(0, 14]"].idxmin() == "default"
assert spread["(0, 14]"].idxmax() == "none: fit_mle"
assert (spread["(38, 60]"] < 0.8).all()
assert (spread["(33, 38]"] > 1.1).all()
spread.round(2)

# %% [markdown]
# The penalty does part of it, before the impact above all: it keeps the standard deviation of the quiet expert away
# from 0, and gates away from steps, and both let rows vary more there than they do. That is its price; the warnings of
# `fit_mle` above are what it buys off. What no penalty does is in the last two stretches: one line with one variance
# has all that follows the rebound, where the spread falls with time. That is the model.
#
# ## Predictions, and whether they hold
#
# An interval that holds for the rows that were fitted proves nothing. Leave each fifth of the rows out in turn.

# %%
FOLDS, LEVELS = (2 if QUICK else 5), (0.5, 0.8, 0.95)
parts = np.array_split(np.random.default_rng(0).permutation(len(y)), FOLDS)
rows = []
for out in parts:
    kept = np.setdiff1d(np.arange(len(y)), out)
    part = hs.fit(X.iloc[kept], y.iloc[kept], "SS", (2, 2), effort="quick")
    for level in LEVELS:
        ends = part.predict_interval(X.iloc[out], level)
        inside = (ends["low"] <= y.iloc[out]) & (y.iloc[out] <= ends["high"])
        rows += [{"level": level, "inside": hit, "early": e} for hit, e in zip(inside, early.iloc[out], strict=True)]
coverage = pd.DataFrame(rows)
shares = coverage.groupby("level")["inside"].agg(["mean", "size"])
shares["early"] = coverage[coverage["early"]].groupby("level")["inside"].mean()
shares["later"] = coverage[~coverage["early"]].groupby("level")["inside"].mean()
shares["noise"] = np.sqrt(shares.index * (1 - shares.index) / shares["size"])
if not QUICK:
    assert ((shares["mean"] - shares.index) < 2 * shares["noise"]).all()
    assert shares.loc[0.5, "early"] > 0.75
shares.round(3)

# %% [markdown]
# `mean` is the share of held-out rows inside, to be held against the level; `noise` is the standard error that a share
# would have if rows were independent. Over all rows the intervals hold what they promise, within noise. That is an
# average: before the impact (`early`) they are far too wide, as the residuals said.

# %%
ends = fit.predict_interval(pd.DataFrame({"times": [5.0, 20.0, 35.0, 50.0, 80.0]}))
ends.insert(0, "times", [5, 20, 35, 50, 80])
print(f"times in the data: {X['times'].min():g} to {X['times'].max():g}")
ends.round(1)

# %% [markdown]
# The last row is beyond the data: the line of one expert goes on for ever, and its interval knows of no doubt about
# that. No warning is given, as a model cannot know where its data end. You can.
#
# ## What cannot be said
#
# - **How many experts there are.** The question has no answer where the model is not right: a criterion says how many
#   lines pay for themselves with these rows, no more.
# - **What the groups are.** They are a way to write gates. Names for them need evidence from outside this table.
# - **Anything that needs independent rows**: standard errors, p-values, and the differences of criteria by which models
#   are preferred. Rows of one accident go together, and the table does not tell which these are. With such a column one
#   would leave whole accidents out, instead of rows.
# - **What a different accident would do.** All rows are from one series of tests.

# %% [markdown]
# ## What to try next
#
# - Another table: `hs.datasets.names()`. `"geyser"` has two kinds of eruptions: does a model know them from durations?
# - Several covariates: `"penguins"`, with `fit.plot("gates")`, and the species, which the fit has not seen.
# - Other gates: `hs.fit(X, y, "LL", (2, 2))`. Which of the doubts above stay?
# - The whole penalty: `penalty=None`, or ten times as much. What depends on it should not be believed.
# - `fit.bootstrap(200, kind="rows")`: are its intervals those of the summary?
