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
# # Identifiability traps
#
# A rate study compares a fitted mixing measure with the true one. If two measures have the same density, the data
# cannot tell which of them is the truth, and the error that the study measures need not fall, however large $n$ is. The
# rate plot still shows points, a line and a slope.
#
# Three traps, each with the plot that a careless study would print, and with what `hs.diagnose` says beforehand.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hmoe_stats as hs

QUICK = os.environ.get("HMOE_NOTEBOOK_SIZE") == "quick"
law = hs.Uniform(-3, 3)
BOX = {"a": 8, "b": 8, "omega": 3, "beta": 1.5, "nu": (0.04, 4)}
SIZES = [300, 1000, 3000] if QUICK else [300, 1000, 3000, 10_000]
REPLICATES = 4 if QUICK else 16
plt.style.use(Path(hs.plotting.__file__).with_name("hmoe.mplstyle"))


def samples(G0, key):
    """(n, replicate, X, y) of every cell of a small study."""
    for n in SIZES:
        for replicate in range(REPLICATES):
            yield n, replicate, *hs.sample(G0, n, x=law, seed=np.random.SeedSequence([key, n, replicate]))


# %% [markdown]
# ## Trap 1: twice as many experts under softmax
#
# Fit $k_2 \ge 2 k_2^*$ experts to a softmax group of $k_2^*$. Replace *each* true atom $(\omega_j, \beta_j, z_j)$ by
# two, $(\omega_j, \beta_j, z_j)$ and $(\omega_j + s, \beta_j, z_j)$, with the same $s$ for all $j$. The numerator of
# every gate gains the factor $1 + e^{sx}$, and so does the denominator:
#
# $$\frac{e^{\omega_j x + \beta_j} + e^{(\omega_j + s) x + \beta_j}}
#        {\sum_l \left[e^{\omega_l x + \beta_l} + e^{(\omega_l + s) x + \beta_l}\right]}
#   = \frac{e^{\omega_j x + \beta_j}}{\sum_l e^{\omega_l x + \beta_l}}.$$
#
# The density is the true one for *every* $s$.


# %%
def doubled(G, s):
    """Every expert of G twice, the second copy with its gate slope (centre) moved by s."""
    twice = {name: np.repeat(getattr(G, name), 2, axis=0) for name in ("omega", "beta", "eta", "tau", "nu")}
    twice["omega"][1::2] += s
    return G.replace(k2=[2 * m for m in G.k2], **twice)


SS, LL = hs.datasets.truth("C2", "SS"), hs.datasets.truth("C2", "LL")
moves = np.linspace(0, 3, 7)
distances = {G.gating: [hs.hellinger(doubled(G, s), G, x=law) for s in moves] for G in (SS, LL)}
print("largest Hellinger distance, softmax:", f"{max(distances['SS']):.1e}")
print("largest Hellinger distance, Laplace:", f"{max(distances['LL']):.1e}")

# %%
x = np.linspace(-3, 3, 200)
fig, axes = plt.subplots(1, 3, figsize=(8.4, 2.7))
for ax, s in zip(axes[:2], (0.5, 3.0), strict=True):
    G = doubled(SS, s)
    gates = hs.gate_weights(G, x)
    ax.stackplot(x, gates.T, colors=np.repeat(hs.plotting.COLORS[:4], 2), alpha=0.6)
    edges = np.cumsum(gates, axis=1)
    ax.plot(x, edges[:, ::2], color="white", linewidth=0.8, linestyle="--")  # between the copies of an expert
    ax.plot(x, np.cumsum(hs.gate_weights(SS, x), axis=1)[:, :-1], color="black", linewidth=1)
    ax.set(title=f"softmax, s = {s:g}", xlabel="x", ylim=(0, 1), xlim=(-3, 3), ylabel="gate")
for gating, h in distances.items():
    look = hs.plotting.GATING_STYLES[gating]
    axes[2].plot(moves, h, label=gating, **look)
axes[2].set(xlabel="s", ylabel="Hellinger distance to the truth", title="every expert written twice")
axes[2].legend()
plt.show()

# %% [markdown]
# A colour is an expert; the dashed white line parts its two copies, and wanders with $s$. The black lines are the true
# gates, and stay. Under Laplace gating the copies' kinks would show, and the truth is told from its doubles.
#
# What a rate study makes of it. The truth C4 has one expert a group and is fitted with two: every expert is doubled.
# Each search starts somewhere on the set above, as the density gives no reason to prefer one $s$ to another, and climbs
# to an optimum. The very same fits are then measured by two losses: one that charges for gate slopes, and one that
# compares the gates which the model does not identify as functions of x, by the weight of every cell.

# %%
C4 = hs.datasets.truth("C4", "SS")
rows = []
for n, replicate, X, y in samples(C4, key=1):
    start = doubled(C4, np.random.default_rng(replicate).uniform(-2, 2))
    fit = hs.fit_mle(X, y, gating="SS", k2=(2, 2), start=start, n_starts=4, local=True, bounds=BOX, seed=replicate)
    losses = {form: hs.voronoi_loss(fit.measure, C4, form=form, x=law) for form in ("published", "sharp")}
    errors = hs.parameter_errors(fit.measure, C4, x=law).query("level == 2 and kind == 'weighted'")
    rows.append({"n": n, **losses, **errors.groupby("parameter")["error"].mean()})
fits = pd.DataFrame(rows)

# %%
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.2))
for ax, columns, title in (
    (axes[0], {"gate slopes charged": "published", "gates as functions": "sharp"}, "Same fits, two losses"),
    (axes[1], {"omega": "omega", "eta": "eta", "tau": "tau"}, "Same fits, parameter errors"),
):
    parts = [fits[["n"]].assign(error=fits[column], series=name) for name, column in columns.items()]
    hs.plotting.rate_plot(pd.concat(parts), ax, series="series")
    ax.set_title(title, loc="left")
plt.show()

# %% [markdown]
# $\omega$ has no rate: it goes where the search began and the noise sends it, and a loss that charges for it settles on
# a plateau, while $\eta$, $\tau$ and the other loss fall. A slope
# near zero here is not a slow rate. It is no rate, and a fitted line with a narrow interval does not make it one.

# %%
hs.diagnose(C4, k2=(2, 2), x=law)

# %% [markdown]
# ## Trap 2: mirrored trees
#
# Take a tree whose two groups have the *same* gate inside: equal gaps of $\omega$ and $\beta$. A leaf's weight is then
# the product of a factor of its group and a factor of its place, and nothing says which factor is the group's. Exchange
# the levels: the density is the same, the tree is another.

# %%
mirrored = SS.replace(omega=[0.6, -0.6, 0.6, -0.6], beta=[0.2, 0.0, 0.2, 0.0])
order = [0, 2, 1, 3]  # the leaves, grouped by their place
exchanged = mirrored.replace(
    a=mirrored.omega[:2], b=mirrored.beta[:2],
    omega=np.tile(mirrored.a, (2, 1)), beta=np.tile(mirrored.b, 2),
    eta=mirrored.eta[order], tau=mirrored.tau[order], nu=mirrored.nu[order],
)  # fmt: skip
print(f"Hellinger distance {hs.hellinger(exchanged, mirrored, x=law):.1e}")
print(f"Voronoi loss       {hs.voronoi_loss(exchanged, mirrored, x=law):.2f}")

# %%
X, y = hs.sample(mirrored, 600, x=law, seed=5)
fig, axes = plt.subplots(1, 2, figsize=(8.2, 3.4))
for ax, G in zip(axes, (mirrored, exchanged), strict=True):
    hs.plotting.fit_plot(G, X, y, ax)
plt.show()

# %% [markdown]
# Two trees, one density: the strips stack the same four gates in another order, and the thick black line parts the
# groups elsewhere. Now fit the model to fresh samples, starting from either tree as an honest search from the data
# would, and keep what the likelihood prefers, which here is neither.

# %%
rows = []
for n, replicate, X, y in samples(mirrored, key=2):
    start = (mirrored, exchanged)[replicate % 2]
    fit = hs.fit_mle(X, y, gating="SS", k2=(2, 2), start=start, n_starts=2, bounds=BOX, seed=replicate)
    rows.append({"n": n, "started from": replicate % 2, "error": hs.voronoi_loss(fit.measure, mirrored, x=law)})
losses = pd.DataFrame(rows)

# %%
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.2))
hs.plotting.loss_plot(losses, axes[0])
axes[0].set_title("The careless plot: mean over all fits", loc="left")
for i, (name, rows) in enumerate(losses.groupby("started from")):
    label = ("in the tree of the truth", "in the exchanged tree")[name]
    axes[1].loglog(rows["n"] * (0.93 + 0.14 * i), rows["error"], "os"[i], color=hs.plotting.COLORS[i], label=label)
axes[1].set(xlabel="sample size n", ylabel="Voronoi loss", ylim=(0.3 * losses["error"].min(), 40))
axes[1].set_title("Fit by fit: two clouds", loc="left")
axes[1].legend(loc="upper right")
plt.show()

# %% [markdown]
# Half the fits are as good as any and half are as wrong at the largest $n$ as at the smallest. Their mean is a
# plateau, its slope the share of the one cloud against the other. Look at the points before the line.

# %%
hs.diagnose(mirrored, x=law)

# %% [markdown]
# Opposite gaps do the same: swap the two leaves of one group.

# %%
opposite = mirrored.replace(omega=[0.6, -0.6, -0.6, 0.6], beta=[0.2, 0.0, 0.0, 0.2])
print([finding.kind for finding in hs.diagnose(opposite, x=law)])

# %% [markdown]
# ## Trap 3: Laplace centres outside the data
#
# For $x \le c$ the Laplace score is $-|x - c| = x - c$: beyond the data a centre is an intercept. Moving it from the
# edge $x_+$ to $c > x_+$ while its intercept gains $c - x_+$ changes nothing on the data. Follow the log-likelihood of
# a sample along that ridge, and along the line on which the intercept stays. The true centre is at 4; the data end at
# 3.

# %%
outside = LL.replace(omega=[-0.8, 4.0, 1.2, -0.4], beta=[0.2, 1.0, -0.2, 0.0])
X, y = hs.sample(outside, 3000, x=law, seed=6)
centres = np.linspace(1, 8, 71)


def moved(c, gain):
    """The centre of expert 1 at c; its intercept gains what makes up for the way, or nothing."""
    omega, beta = outside.omega.copy(), outside.beta.copy()
    omega[1] = c
    beta[1] += gain * (c - 4.0)
    return outside.replace(omega=omega, beta=beta)


# %%
fig, ax = plt.subplots(figsize=(5.2, 2.9))
for gain, label, look in ((1, "intercept makes up for it", "-"), (0, "intercept stays", "--")):
    values = np.array([hs.log_likelihood(moved(c, gain), X, y) for c in centres])
    ax.plot(centres, values - hs.log_likelihood(outside, X, y), look, label=label)
ax.axvspan(3, 8, color="0.92", zorder=0)
ax.text(7.9, -9, "no data", ha="right", fontsize=7, color="0.4")
ax.set(xlabel="Laplace centre", ylabel="log-likelihood against the truth's", ylim=(-60, 10), xlim=(1, 8))
ax.legend(loc="lower right")
plt.show()
print("along the ridge, from 3 to 8:", f"{np.ptp([hs.log_likelihood(moved(c, 1), X, y) for c in (3, 5, 8)]):.1e}")

# %% [markdown]
# A study that compares the fitted centre with the true one measures where on the ridge the search stopped. A comparison
# in canonical form clips centres to the data and moves the excess into the intercept: `hs.parameter_errors` does.

# %%
rows = []
for n, replicate, X, y in samples(outside, key=3):
    start = moved(np.random.default_rng(replicate).uniform(3, 6), 1)  # anywhere on the ridge: the same density
    box = BOX | {"omega": 6, "beta": 6}
    fit = hs.fit_mle(X, y, gating="LL", k2=(2, 2), start=start, n_starts=1, bounds=box, seed=replicate)
    errors = hs.parameter_errors(fit.measure, outside, x=law).query("cell == '0,1' and parameter == 'omega'")
    leaf = np.abs(fit.measure.tau - outside.tau[1]).argmin()
    rows.append({"n": n, "raw": abs(fit.measure.omega[leaf, 0] - 4.0), "canonical": errors["error"].iloc[0]})
errors = pd.DataFrame(rows)

# %%
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.2))
hs.plotting.rate_plot(errors.assign(error=errors["raw"]), axes[0], ylabel="|fitted centre - true centre|")
axes[0].set_title("The careless plot", loc="left")
axes[1].semilogx(errors["n"] * np.tile(np.linspace(0.9, 1.1, REPLICATES), len(SIZES)), errors["canonical"], "o", ms=3)
axes[1].set(xlabel="sample size n", ylabel="error of the clipped centre")
axes[1].set_title(f"Clipped to the data: {(errors['canonical'] == 0).mean():.0%} of errors are exactly 0", loc="left")
plt.show()

# %% [markdown]
# Clipped, most errors are exactly zero, because both centres lie beyond the edge, and a zero has no logarithm:
# `hs.fit_rate` refuses where a statistic is zero instead of printing a slope. The honest remedy is a truth whose
# centres lie inside the data, or no statement about this parameter.

# %%
hs.diagnose(outside, x=law)

# %% [markdown]
# ## A truth without traps
#
# For contrast, the truth C2 of the studies with one expert more in each group: unequal gaps, centres inside the data,
# and fewer than twice as many experts as there are.

# %%
print("SS:", hs.diagnose(SS, k2=(3, 3), x=law))
print("LL:", hs.diagnose(LL, k2=(3, 3), x=law))

# %% [markdown]
# ## What to try next
#
# - `hs.diagnose(hs.fit_mle(...).measure, x=X)` on data of your own: a *fit* can sit in a trap too.
# - Let the gaps of the mirrored tree differ by 0.1: at which $n$ do the clouds of trap 2 part?
# - Put the centre of trap 3 at 2.9, inside the data by a hair. Is it estimated at the usual rate?
# - Trap 1 at level 1: `k2=(2, 2, 2, 2)` on a truth of two groups.
