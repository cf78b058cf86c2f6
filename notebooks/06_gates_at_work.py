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
# # Gates at work
#
# Nguyen, Han, Harris, Saria and Ho (arXiv 2410.02935) propose Laplace gates at both levels of a mixture of experts, and
# try them on images, on several modalities, and on data from latent domains. This essay asks six questions of that
# kind, small enough to be asked again by anybody in minutes, on data that ship with this package or with scikit-learn:
#
# 1. **Images.** Does the gating matter to predicting digits, and to what experts specialise in?
# 2. **Tables.** Over eleven ordinary tables, does it matter to prediction?
# 3. **Domains.** Does level 1 find hidden domains?
# 4. **Modalities.** Should gates look at one block of covariates, and experts at another?
# 5. **Units.** What do the units of x do to a Laplace gate?
# 6. **Sample size.** Which gating needs fewer rows for the same experts?
#
# Questions, models, splits and the scores that count were written down in `simulations/studies/applied-*.toml` before
# the first fit, and `hmoe run applied-images` computes such a study again. All models of a split see the same rows, so
# that differences are paired. What follows reads the tables that the studies left; every sentence on a number stands
# beside an assertion.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hmoe_stats as hs
import simulations
from simulations.applied.pictures import forest

QUICK = os.environ.get("HMOE_NOTEBOOK_SIZE") == "quick"
FIGURES = Path(simulations.__file__).parents[1] / "figures"
plt.style.use(Path(hs.plotting.__file__).with_name("hmoe.mplstyle"))


def read(study, name):
    table = pd.read_csv(FIGURES / f"applied-{study}" / f"{name}.csv", dtype={"k2": str})
    return table.fillna({"k2": "", "verdict": ""})


def rows(table, **wanted):
    for key, value in wanted.items():
        table = table[table[key].isin(value if isinstance(value, list) else [value])]
    return table


def draw(table, value, names, xlabel, size=(5.0, 2.4)):
    fig, ax = plt.subplots(figsize=size)
    forest(ax, list(names), list(zip(table[value], table["low"], table["high"], strict=True)))
    ax.set_xlabel(xlabel)
    plt.show()


# %% [markdown]
# How to read the bars. A table is split several times into rows to fit and rows to judge. The splits share rows, so
# that a mean over them is known less well than one over as many independent samples; the intervals take that into
# account (Nadeau and Bengio 2003), and are wide. A margin says which differences would matter: 0.05 nats a row, or 0.05
# of an index. An interval within the margin **agrees**; one that excludes 0 **differs**; what is neither is undecided,
# and that is an answer, too: this much data does not tell.
#
# ## 1. Images
#
# Digits of 8 x 8 pixels, ten principal components, 900 images to fit. Laplace scales are chosen within the rows that
# are fitted.

# %%
images = read("images", "scores")
loss = rows(images, score="log loss", k2=["2,2", ""])
draw(loss, "mean", loss["model"], "log loss, nats a row", (4.5, 2.4))
images.pivot(index=["model", "k2"], columns="score", values="mean").round(3)

# %%
gaps = rows(read("images", "differences"), score="log loss")
ours = gaps[~gaps["model"].isin(["linear", "forest", "network"])]
assert ((ours["low"] < 0) & (ours["high"] > 0)).all()
routing = rows(images, score="routing information").set_index(["model", "k2"])["mean"]
for k2 in ("2,2", "3,3"):
    assert routing["SS", k2] > max(routing["SL tuned", k2], routing["LS tuned", k2], routing["LL tuned", k2])
means = rows(images, score="log loss").set_index(["model", "k2"])["mean"]
assert means.idxmin() == ("network", "")
ours[["model", "k2", "difference", "low", "high", "verdict"]].round(3)

# %% [markdown]
# No gating is told from softmax by its prediction. An ordinary network of as many parameters predicts better than any
# mixture of linear experts here. And *softmax gates route more sharply than Laplace gates*, on average: what the x of a
# row tells of its expert is more under SS than wherever a Laplace gate is. If sharp routing is what specialisation
# means, Laplace gates have less of it; the intervals of eight splits do not settle it.

# %% [markdown]
# ## 2. Tables
#
# Five tables with classes and six with numbers, (2, 2) on each. Every point is the mean of six splits; *all* is the
# mean over the tables, with an interval over tables: what another table like these might do.

# %%
tables = read("tables", "differences")
pooled = rows(tables, task="all", score="log loss")
draw(pooled, "difference", pooled["model"], "log loss less that of SS, nats a row", (4.5, 2.0))
verdicts = pooled.set_index("model")["verdict"]
assert (verdicts[["SL", "LS", "LL"]] == "agrees within the margin").all()
sharp = rows(tables, task="all", score="routing information").set_index("model")
assert sharp.loc["SL", "high"] < 0
assert (sharp.loc[["SL", "LS", "LL", "QQ"], "difference"] < 0).all()
pooled[["model", "difference", "low", "high", "verdict"]].round(3)

# %%
sharp[["difference", "low", "high", "verdict"]].round(3)

# %% [markdown]
# This is the clearest answer of the six. Over eleven tables the three gatings with a Laplace gate predict as softmax
# gates do: all of their intervals lie within the margin that was declared. None routes more sharply than softmax gates;
# SL routes less sharply, and that is told from chance.
#
# ## 3. Domains
#
# Digits are inverted, or noisy, or turned by a quarter; penguins are of three species; in a simulated table, the
# relation of y and x changes with where x lies. No model is told. Three groups of two experts are fitted: does level 1
# find the domains? The adjusted Rand index is 1 where it does, 0 on average where groups were dealt out at random.

# %%
domains = rows(read("domains", "scores"), score="adjusted Rand, posterior")
draw(domains, "mean", domains["task"] + ": " + domains["model"], "adjusted Rand index of level 1", (5.5, 3.2))
index = domains.set_index(["task", "model"])["mean"]
index.unstack().round(2)

# %%
assert (index.unstack()["SS"] < index.unstack()["Gaussian mixture"]).all()
assert (index.unstack()["LL"] < index.unstack()["Gaussian mixture"]).all()
assert (index.unstack()["LL"] > index.unstack()["SS"]).sum() == 2
gap = rows(read("domains", "differences"), score="adjusted Rand, posterior", model="LL").set_index("task")
assert (gap["verdict"] == "undecided").all()
gap[["difference", "low", "high", "verdict"]].round(2)

# %% [markdown]
# Under both gatings level 1 finds domains less well than a Gaussian mixture of the same rows: a tree of experts is
# fitted to predict, and where a split of the rows helps prediction more than the domain does, it takes that. LL is
# above SS twice and below it once, and no difference is told from 0. A *rotation that nobody was fitted on* shows
# what finding domains would be good for, and is not:

# %%
table = rows(read("domains", "scores"), task="digits in domains", score=["log loss", "log loss, unseen domain"])
loss = table.pivot(index="model", columns="score", values="mean")
uniform = np.log(10.0)
assert (loss["log loss, unseen domain"] > uniform).all()
assert loss["log loss, unseen domain"].idxmax() == "SS"
print(f"to say nothing of ten digits costs {uniform:.2f} nats")
loss.round(2)

# %% [markdown]
# On turned digits of a kind never seen all models do worse than one that says nothing, and softmax gates worst of all.
#
# ## 4. Modalities
#
# Two blocks of covariates each: ink and pixels of digits; island and sex, and the measurements of penguins; the season,
# and the weather of a day. Gates and experts see both, or gates see A alone and experts B, or the other way round.

# %%
modal = read("modalities", "differences")
views = modal[modal["model"].str.contains("gates on") & (modal["score"] == "log loss")]
draw(views, "difference", views["task"] + ": " + views["model"], "log loss less that of SS on both", (5.5, 3.4))
penguins = views[views["task"] == "penguins in blocks"]
assert (penguins["difference"] < 0).all()
digits = views[views["task"] == "digits in blocks"]
assert (digits[digits["model"].str.endswith("B")]["difference"] > 0.2).all()
missing = rows(modal, score="log loss, without A", task="penguins in blocks", verdict="differs")
missing[["model", "difference", "low", "high"]].round(2)

# %% [markdown]
# It is a matter of the table, not of the gating. For 250 penguins every split of the blocks is better than all on all,
# as it has fewer parameters; for digits, experts that see but ink and its place lose a good deal. Only one thing is
# told from chance: where island and sex are missing afterwards, replaced by their means, a tree whose *gates* alone saw
# them loses as little as the linear model, and one whose experts saw them, too, much more.
#
# ## 5. Units
#
# A softmax gate has slopes, which take up any change of units. A Laplace gate -||x - a|| has slope 1: per unit of x, as
# it is written in the literature. The same rows, with x multiplied by 0.1, 1 and 10, show what that means.

# %%
data = hs.datasets.load("motorcycle")
x, y = data["times"].to_numpy(float), data["accel"].to_numpy(float)
found = {}
for unit in (0.1, 1.0, 10.0):
    per_unit = hs.fit(unit * x, y, "LL", (2,), laplace_scale=x.std() * unit, n_starts=2, effort="quick")
    per_deviation = hs.fit(unit * x, y, "LL", (2,), n_starts=2, effort="quick")
    found[unit] = per_unit.log_likelihood, per_deviation.log_likelihood
likelihoods = pd.DataFrame(found, index=["1 per unit of x", "3 per standard deviation"])
assert np.ptp(likelihoods.loc["1 per unit of x"]) > 1.0
assert np.ptp(likelihoods.loc["3 per standard deviation"]) < 1e-6
likelihoods.round(2)

# %% [markdown]
# With a slope per unit of x, three ways of writing the same table are three models. With a scale per standard deviation
# they are one, to the last digits. The study asked what that does to prediction:

# %%
units = rows(read("units", "differences"), score="log loss", model=["LL", "LL per unit", "LL profile"])
alone = units[units["task"] != "all"]
draw(alone, "difference", alone["task"] + ": " + alone["model"], "log loss less that of SS, nats a row", (5.5, 4.2))
pooled = units[units["task"] == "all"].set_index("model")
assert pooled.loc["LL", "verdict"] == "agrees within the margin"
assert pooled.loc["LL per unit", "verdict"] == "undecided"
assert pooled.loc["LL per unit", "difference"] > pooled.loc["LL profile", "difference"] > pooled.loc["LL", "difference"]
pooled[["difference", "low", "high", "verdict"]].round(3)

# %% [markdown]
# LL with 3 per standard deviation predicts as SS does, within the margin. Per unit of x it is worse on average, by as
# much as the unit happens to be off, and choosing the scale by likelihood gives nothing back on tables of this size.
# Who compares gatings on raw covariates compares units.
#
# ## 6. Sample size
#
# Here the truth is known again: twenty random ones, under which SS or LL is fitted to data of its own gating, exactly
# and with one expert too many in both groups, on a lattice to a million rows.

# %%
curves = read("sample-size", "curves")
curves = rows(curves, parameter="expert", statistic="mean", level=2)
fig, ax = plt.subplots(figsize=(4.5, 3.0))
last = {}
for number, (gating, k2, size) in enumerate([("SS", "2,2", 1), ("LL", "2,2", 1), ("SS", "3,3", 2), ("LL", "3,3", 2)]):
    part = rows(curves, gating=gating, k2=k2, size=size).sort_values("n")
    label = f"{gating} ({k2}), " + ("exact cells" if size == 1 else "split cells")
    ax.loglog(part["n"], part["value"], marker="o", markersize=3, color=hs.plotting.COLORS[number], label=label)
    ax.fill_between(part["n"], part["low"], part["high"], color=hs.plotting.COLORS[number], alpha=0.15, linewidth=0)
    last[gating, k2] = part.iloc[-1]
ax.set(xlabel="n", ylabel="error of the expert function")
ax.legend()
plt.show()
for k2 in ("2,2", "3,3"):
    one, other = last["SS", k2], last["LL", k2]
    assert max(one["low"], other["low"]) < min(one["high"], other["high"])  # the intervals overlap
    print(f"({k2}) at n = {one['n']:.0e}: SS {one['value']:.4f}, LL {other['value']:.4f}")

# %% [markdown]
# The curves lie on one another: as far as twenty truths with well separated experts tell, Laplace gates need as many
# rows as softmax gates for the same experts, whether the model is exact or too large. Where a group is not
# identified, its parameters, not its experts as functions, converge at rates that depend on the gating
# (`unidentified-far`).
#
# ## What to carry over, and what not
#
# Six answers, of mixtures of linear experts on small tables:
#
# 1. On images no gating is told from softmax, and an ordinary network is better than all of them.
# 2. Over tables, which gate stands where matters to prediction by less than the margin. Softmax gates route more
#    sharply on average, not less; only against SL is that told from chance, and none of the scores here rewards it.
# 3. Level 1 of a tree is no domain detector: it serves the likelihood.
# 4. What gates should see, and what experts, is a matter of the table.
# 5. A Laplace gate without a scale is a gate in the unit of x.
# 6. What theory says of parameters under too many experts is not what a user of the fitted function pays.
#
# A router of a large model is trained by stochastic gradients with a loss on balance, picks a few experts out of many,
# and its experts are deep. None of that was measured here, so that nothing here says that a Laplace router would help
# or harm it. What carries over is the way of asking: pair the runs, say beforehand what counts and what difference
# matters, try other units, and report the questions that stay open - most did.

# %% [markdown]
# ## What to try next
#
# - `hmoe run applied-domains` computes a study again, `hmoe report applied-domains` makes its page.
# - Copy one of the files, put `"LS"` or a scale of your own among its models, and set `replicates` to 20.
# - A task of your own is a function of ten lines: see CONTRIBUTING.md.
