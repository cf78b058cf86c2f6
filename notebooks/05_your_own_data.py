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

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hmoe_stats as hs

QUICK = os.environ.get("HMOE_NOTEBOOK_SIZE") == "quick"
plt.rcParams["figure.constrained_layout.use"] = True

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
# Nobody knows, and the criteria do not agree, as they do not ask the same (see `hmoe_stats.selection.candidates`). BIC
# and ICL are smaller for a better model, `cv`, the log-density of held-out rows, is larger.

# %%
SHAPES = [(2,), (3,), (2, 2)] if QUICK else [(1,), (2,), (3,), (4,), (5,), (2, 2)]
CRITERIA = ("bic", "icl") if QUICK else ("bic", "icl", "cv")
found = hs.select(X, y, gatings="SS", shapes=SHAPES, criteria=CRITERIA, folds=4)
best = {name: found.best(name).measure.k2 for name in CRITERIA}
print(best)
found.table[["k2", "log_likelihood", "df", "status", *CRITERIA]].round(2)

# %%
fig, ax = plt.subplots(figsize=(4.6, 3))
found.plot(ax, criterion="bic")
plt.show()

# %% [markdown]
# The tree (2, 2) has as many parameters as the flat model with four experts. That it is the better one by likelihood
# does not prove that there are two groups: a tree is another family of gates. The question for the groups is whether
# they come back.

# %%
if not QUICK:
    table = found.table.set_index("k2")
    assert table.loc[[(2, 2)], "df"].iloc[0] == table.loc[[(4,)], "df"].iloc[0]
    assert table.loc[[(2, 2)], "log_likelihood"].iloc[0] > table.loc[[(4,)], "log_likelihood"].iloc[0] + 1
again = hs.selection.stability(X, y, "SS", (2, 2), n=1 if QUICK else 4, effort="quick")
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
residuals = fit.residuals()
print(f"standard deviation of the quantile residuals {residuals.std():.2f}, the largest {np.abs(residuals).max():.2f}")
assert residuals.std() < 0.95

# %% [markdown]
# They are not. In the middle of the plot the residuals are too small: where two experts meet, the gates of a mixture
# let either of two lines hold, far above and far below, while the rows go smoothly from one to the other. A mixture is
# not a smooth curve with noise, and this curve is one.
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
shares.round(3)

# %% [markdown]
# `mean` is the share of held-out rows inside, to be held against the level; `noise` is the standard error that a share
# would have if rows were independent. Where intervals hold more than they claim they are too wide, as the residuals
# said.

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
