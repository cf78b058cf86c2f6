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
