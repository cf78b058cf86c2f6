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
# # Parameter interactions
#
# Why is an over-specified mixture of experts slow to estimate? Because derivatives of its density that ought to be
# independent are not. Write the term of one expert, up to factors, as
#
# $$u = e^{\omega x}\, N(y \mid \eta x + \tau, \nu).$$
#
# Two identities hold at every $(x, y)$:
#
# $$\frac{\partial^2 u}{\partial\omega\,\partial\tau} = \frac{\partial u}{\partial\eta},
# \qquad \frac{\partial^2 u}{\partial\tau^2} = 2\,\frac{\partial u}{\partial\nu}.$$
#
# The first needs a softmax gate: differentiating $e^{\omega x}$ in $\omega$ brings down an $x$, and so does
# differentiating the mean in $\eta$. A Laplace gate, $e^{-|x - \omega|}$, brings down $\mathrm{sign}(x - \omega)$
# instead. This essay shows both identities: in a picture, in a Gram matrix, in data, and on a likelihood surface.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import hmoe_stats as hs

QUICK = os.environ.get("HMOE_NOTEBOOK_SIZE") == "quick"
law = hs.Uniform(-3, 3)
plt.style.use(Path(hs.plotting.__file__).with_name("hmoe.mplstyle"))


# %% [markdown]
# ## One line, written with two experts
#
# The smallest example: the truth is a single regression line, and two experts of equal weight are fitted to it. Move
# the two copies apart by $\pm s$ in $\omega$ *and* in $\tau$: the upper line is preferred on the right, the lower one
# on the left. To second order in $s$ the density changes by $s^2$ times
# $\partial^2/\partial\omega\,\partial\tau + \tfrac12\,\partial^2/\partial\tau^2$. By the identities that is
# $\partial/\partial\eta + \partial/\partial\nu$, which a common change of $\eta$ and $\nu$ by $-s^2$ takes back.


# %%
def line(gating):
    """The truth: one expert."""
    return hs.MixingMeasure(
        gating=gating, k2=(1,), a=[[0.0]], b=[0.0], omega=[[0.0]], beta=[0.0], eta=[[0.5]], tau=[0.0], nu=[0.4]
    )


def apart(G, omega, tau, d_eta=0.0, d_nu=0.0):
    """Two copies of the expert of G, moved apart in omega and tau, and together in eta and nu."""
    return G.replace(
        k2=(2,), omega=[[omega], [-omega]], beta=[0.0, 0.0],
        eta=[G.eta[0] + d_eta] * 2, tau=G.tau[0] + np.array([tau, -tau]), nu=[G.nu[0] + d_nu] * 2,
    )  # fmt: skip


# %% [markdown]
# Below, the change of the density over the $(x, y)$ plane for $s = 0.3$: after the move, and after the move with
# $\eta$ and $\nu$ pulled back by as much as serves best (found by minimising the Hellinger distance to the truth, for
# either gate). All four panels share a colour scale.


# %%
def pulled_back(gating, s):
    """The measure moved by s whose common eta and nu bring it closest to the truth."""
    G0 = line(gating)

    def distance(c):
        return np.log(hs.hellinger(apart(G0, s, s, *(c * s**2)), G0, x=law))

    fine = 3e-2 if QUICK else 3e-3
    best = minimize(distance, [-0.7, -0.9], method="Nelder-Mead", options={"xatol": fine, "fatol": fine}).x
    return apart(G0, s, s, *(best * s**2)), best


def density(G, x, y):
    return np.exp(hs.log_density(G, x.ravel(), y.ravel())).reshape(x.shape)


# %%
def show_moves(s):
    x, y = np.meshgrid(np.linspace(-3, 3, 150), np.linspace(-4, 4, 150))
    fig, axes = plt.subplots(2, 2, figsize=(7, 5), sharex=True, sharey=True)
    for row, gating in zip(axes, ("SS", "LL"), strict=True):
        back, (eta, nu) = pulled_back(gating, s)
        texts = "moved apart\n", "pulled back\n" + rf"$\eta$ by ${eta:.2f}\,s^2$, $\nu$ by ${nu:.2f}\,s^2$; "
        for ax, G, text in zip(row, (apart(line(gating), s, s), back), texts, strict=True):
            change = density(G, x, y) - density(line(gating), x, y)
            image = ax.pcolormesh(x, y, change, cmap="RdBu_r", vmin=-0.12, vmax=0.12, rasterized=True)
            distance = hs.hellinger(G, line(gating), x=law)
            ax.set_title(f"{gating}, {text}h = {distance:.4f}", loc="left")
        row[0].set_ylabel("y")
    axes[1, 0].set_xlabel("x")
    axes[1, 1].set_xlabel("x")
    fig.colorbar(image, ax=axes, label="change of the density", shrink=0.7)
    plt.show()


show_moves(0.3)

# %% [markdown]
# Under softmax the pull-back leaves almost nothing. Under Laplace gating the mean has moved by about
# $s^2\,\mathrm{sign}(x)$, a step, and no straight line undoes a step: a trace stays along both halves.
#
# With a notebook kernel and `ipywidgets`, move $s$ yourself:

# %%
try:
    from ipywidgets import FloatSlider, interact
except ImportError:
    print("no ipywidgets here: the figure above stands for the slider")
else:
    interact(show_moves, s=FloatSlider(value=0.3, min=0.05, max=0.8, step=0.05, continuous_update=False))

# %% [markdown]
# How much is *almost nothing*? Shrink $s$ and watch the order of the Hellinger distance $h$.

# %%
s = np.array([0.4, 0.2] if QUICK else [0.4, 0.2, 0.1])
fig, ax = plt.subplots(figsize=(4.6, 3.2))
for gating, style in hs.plotting.GATING_STYLES.items():
    if gating in ("SS", "LL"):
        look = {"color": style["color"], "marker": style["marker"]}
        raw = [hs.hellinger(apart(line(gating), t, t), line(gating), x=law) for t in s]
        back = [hs.hellinger(pulled_back(gating, t)[0], line(gating), x=law) for t in s]
        orders = [np.log(h[-2] / h[-1]) / np.log(s[-2] / s[-1]) for h in (raw, back)]
        ax.loglog(s, raw, linestyle=":", label=f"{gating}, moved apart: order {orders[0]:.2f}", **look)
        ax.loglog(s, back, linestyle="-", label=f"{gating}, pulled back: order {orders[1]:.2f}", **look)
ax.set(xlabel="s", ylabel="Hellinger distance to the truth")
ax.set_xticks([0.1, 0.2, 0.4], ["0.1", "0.2", "0.4"])
ax.minorticks_off()
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# The last slopes head for order 4 under softmax and order 2 under Laplace gating. An estimator knows the density to
# $h \approx n^{-1/2}$, so it sees $s$ only to $h^{1/4}$, that is $n^{-1/8}$, and $\eta$, which moves by $s^2$, to
# $n^{-1/4}$. A Laplace gate forbids *this* move; the pure $\tau$ move, which needs the second identity only, remains
# under every gating, and with it $n^{-1/8}$ for $\tau$.
#
# ## The Gram matrix of the derivatives
#
# `hs.theory.interactions` computes all derivatives up to an order, relative to the density, and their inner products in
# $L_2(P_0)$. It is told no identity: it finds them as null directions. Here is the truth C2 of the studies, two groups
# of two experts, under softmax and Laplace gates.

# %%
found = {gating: hs.theory.interactions(hs.datasets.truth("C2", gating=gating), x=law) for gating in ("SS", "LL")}
for result in found.values():
    print(result, end="\n\n")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.2))
for ax, result in zip(axes, found.values(), strict=True):
    hs.plotting.interaction_plot(result, ax)
plt.show()

# %% [markdown]
# A framed pair obeys an identity. The matrix tells how close the others come: an eigenvalue near 0 is a direction in
# parameter space that data hardly see.
#
# ## A third gate, as the control
#
# Softmax has the interaction and no kink, Laplace a kink and no interaction. A gate of scores $\omega x^2 + \beta$
# (letter Q) has neither: it is smooth, and $\partial^2 u/\partial\omega\,\partial\tau$ brings down an $x^2$, which
# $\partial u/\partial\eta$ does not have. Where Q behaves as Laplace gates do, it is the missing interaction; where it
# behaves as softmax does, it is smoothness. A weaker identity stays, one order up, where $x^2$ meets $x^2$:
#
# $$\frac{\partial^3 u}{\partial\omega\,\partial\tau^2} = \frac{\partial^2 u}{\partial\eta^2}.$$
#
# Angles between the two sides of either identity, for the truth C2 of each gate; 0 degrees is an identity:

# %%
sides = {"d2/domega dtau": "d/deta", "d3/domega dtau2": "d2/deta2"}
for gating in ("SS", "LL", "QQ"):
    third = hs.theory.interactions(hs.datasets.truth("C2", gating=gating), order=3, x=law)
    print(gating, *(f"   {one} and {other}: {third.angle(one, [other]):4.1f}" for one, other in sides.items()))

# %% [markdown]
# ## As the gates change
#
# The angle between $\partial^2/\partial\omega\,\partial\tau$ and the derivatives of lower order measures the
# interaction: 0 is an identity. Move one Laplace centre through the covariates and out of them. Inside, the kink keeps
# the derivatives apart. Outside, $|x - \omega|$ is a straight line on all of the data, and the Laplace gate *is* a
# softmax. In the model with the right number of experts (`form="density"`) the interaction needs yet more: a softmax
# gate that is constant.


# %%
def angle(G, form):
    return hs.theory.interactions(G, x=law, form=form).angle("d2/domega dtau")


SS, LL = (hs.datasets.truth("C2", gating=gating) for gating in ("SS", "LL"))
centres = np.linspace(-3.6, 0.4, 5 if QUICK else 21)
gaps = np.linspace(0.0, 2.0, 3 if QUICK else 9)
by_centre = [angle(LL.replace(omega=[c, 0.9, 1.2, -0.4]), "split") for c in centres]
by_gap = [angle(SS.replace(omega=[-g, g, 0.35, -0.35]), "density") for g in gaps / 2]
softmax = angle(SS, "split")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.8))
left.axvspan(-3.6, -3, color="0.9", zorder=0)
left.plot(centres, by_centre, "s-", color="#D55E00", label="Laplace, expert written twice")
left.axhline(softmax, color="#0072B2", linestyle="--", label="softmax, expert written twice")
left.text(-3.3, 15, "no data", rotation=90, ha="center", va="bottom", fontsize=7, color="0.4")
left.set(xlabel="Laplace centre", ylabel="angle, degrees", title="A centre leaves the data")
left.legend(loc="center right")
right.plot(gaps, by_gap, "o-", color="#0072B2")
right.set(xlabel="gap of the softmax slopes", ylabel="angle, degrees", title="Exact size: the gate flattens")
plt.show()
print(f"softmax, expert written twice: angle {softmax:.1e} degrees")

# %% [markdown]
# The spectrum tells the same: with the centre at the edge of the data a small eigenvalue appears, and beyond it a zero.

# %%
at = (0.0, -1.5, -2.5, -2.9, -3.3)
fig, ax = plt.subplots(figsize=(5.2, 2.9))
for i, c in enumerate(at):
    values = hs.theory.interactions(LL.replace(omega=[c, 0.9, 1.2, -0.4]), x=law).eigenvalues
    shown = values > 1e-12  # exact identities have no place on a log scale: they are counted
    ax.scatter(np.full(shown.sum(), i), values[shown], marker="_", s=240, linewidth=1, color="#D55E00")
    ax.text(i, 3e-7, f"{(~shown).sum()} zero", ha="center", fontsize=7)
ax.set(yscale="log", ylim=(1e-7, 20), xlabel="Laplace centre", ylabel="eigenvalues of the cosines")
ax.set_xticks(range(len(at)), [f"{c:g}" for c in at])
plt.show()

# %% [markdown]
# ## What a sample sees
#
# Write one expert twice and move the two copies apart: the observed information along that move is an average with
# mean zero, because the score along it vanishes identically. `hs.theory.split_information` returns it, and the share
# of its variance that first derivatives leave over. A share of zero is an identity: moving the whole expert in some
# other parameter does the same and is no longer needed at the optimum, so that the likelihood is flat to fourth order.

# %%
shares = {}
for gating in ("SS", "LL"):
    G0 = hs.datasets.truth("C2", gating=gating)
    X, y = hs.sample(G0, 2000 if QUICK else 20_000, x=law, seed=1)
    exact = hs.fit_mle(X, y, gating=gating, k2=(2, 2), start=G0, n_starts=2, seed=1)
    shares[gating] = hs.theory.split_information(exact.measure, X, y)

# %%
fig, axes = plt.subplots(1, 2, figsize=(6, 2.9))
for ax, (gating, split) in zip(axes, shares.items(), strict=True):
    image = ax.imshow(split.left, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(split.left.shape):
        text = "kink" if f"{split.names[i]} {split.names[j]}" in split.kinks else f"{split.left[i, j]:.2f}"
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if split.left[i, j] > 0.6 else "k")
    names = [rf"$\{name}$" for name in split.names]
    ax.set_xticks(range(4), names)
    ax.set_yticks(range(4), names)
    ax.set_title(f"{gating}: share left over")
    ax.spines[:].set_visible(False)
fig.colorbar(image, ax=axes, shrink=0.8)
plt.show()

# %% [markdown]
# Zero at $(\tau, \tau)$ under both gates, at $(\omega, \tau)$ under softmax only. (A Laplace gate has no second
# derivative in $\omega$ to be averaged: its part at the kink is missing, and the entry says so.)
#
# ## The likelihood along the null direction
#
# Back to the single line, with a sample from it and the line fitted to it, written twice. The plane below is spanned by
# the half-distances of the two copies, $\omega$ and $\tau$. Left, nothing else moves. Right, $\eta$ follows by
# $-\omega\tau$ and $\nu$ by $-\tau^2$, as the identities ask. Contours are drops of the log-likelihood below its
# highest value on the plane.

# %%
X, y = hs.sample(line("SS"), 500 if QUICK else 2000, x=law, seed=3)
lines = {gating: hs.fit_mle(X, y, gating=gating, k2=(1,), seed=3).measure for gating in ("SS", "LL")}
grid = np.linspace(-0.5, 0.5, 15 if QUICK else 41)


def surface(gating, follow):
    def value(w, t):
        return hs.log_likelihood(apart(lines[gating], w, t, -follow * w * t, -follow * t**2), X, y)

    table = np.array([[value(w, t) for w in grid] for t in grid])
    return table - table.max()


# %%
fig, axes = plt.subplots(2, 2, figsize=(6.4, 5.4), sharex=True, sharey=True)
levels = [-300, -100, -30, -10, -5, -2, -1, -0.5, 0]
for row, gating in zip(axes, ("SS", "LL"), strict=True):
    for ax, follow in zip(row, (0, 1), strict=True):
        colours = ax.contourf(grid, grid, surface(gating, follow), levels, cmap="viridis", extend="min", norm="symlog")
        ax.set_title(f"{gating}, " + (r"$\eta$ and $\nu$ follow" if follow else "nothing else moves"), loc="left")
    row[0].set_ylabel(r"$\tau$, half the distance")
axes[1, 0].set_xlabel(r"$\omega$, half the distance")
axes[1, 1].set_xlabel(r"$\omega$, half the distance")
fig.colorbar(colours, ax=axes, label="log-likelihood below the highest", ticks=levels)
plt.show()

# %% [markdown]
# Under softmax the peak opens into a plateau. Under Laplace gating it opens along the axes only: on the diagonals,
# where $\omega$ and $\tau$ move together, it falls off.
#
# ## Climbing such a hill
#
# EM takes steps that shrink with the curvature. Newton's method divides by the curvature, and does not mind. Both climb
# here from the same two copies, a little apart. (The sample was chosen to have its optimum inside the box; many have it
# on a bound, where a fit says so: `fit.active_bounds`.)

# %%
start = apart(lines["SS"], 0.3, 0.3)
box = {"omega": 3, "beta": 1.5, "nu": (0.04, 4)}
newton = hs.fit_mle(X, y, gating="SS", k2=(2,), start=start, n_starts=1, bounds=box)
em = hs.fit_em(X, y, gating="SS", k2=(2,), start=start, tol=1e-9, max_iter=300 if QUICK else 2000)
print(f"Newton: {newton.n_iter} iterations, score {newton.score_norm:.0e}, {newton.status}")
print(f"EM:     {em.n_iter} iterations, score {em.score_norm:.0e}, {em.status}")
print(f"EM ends {newton.log_likelihood - em.log_likelihood:.3f} below Newton")

# %%
top = max(newton.log_likelihood, em.log_likelihood)
fig, ax = plt.subplots(figsize=(5, 2.9))
for fit, name, look in ((em, "EM", "-"), (newton, "Newton", "o-")):
    left = top - fit.path
    ax.plot(np.arange(len(left))[left > 1e-9] + 1, left[left > 1e-9], look, label=f"{name}, {fit.n_iter} iterations")
ax.set(xscale="log", yscale="log", xlabel="iteration", ylabel="log-likelihood still to gain")
ax.legend()
plt.show()

# %%
print(newton.null_directions().to_string(index=False))

# %% [markdown]
# The table names the flat directions at the top in the parameters' own words; `information` is 1 for parameters that do
# not interact and 0 for a combination that the likelihood ignores.
#
# One warning. The move of this essay works because *every* expert of the gate was split: a gate that keeps one expert
# single shows $\partial^2/\partial\omega^2$ separately, and then $\omega$ cannot travel with $\tau$ unseen.
# `hs.theory.rates` knows the difference; the next essay shows what happens when one does not.

# %% [markdown]
# ## What to try next
#
# - `hs.theory.interactions(G, form="density", experts="all", x=law)`: identities *between* experts of an exact model.
# - Order 3 and 4: `hs.theory.interactions(G, order=4, x=law)`. New identities, or consequences of the two?
# - Gates of two covariates (`d = 2`), where a Laplace centre has no kink line to hide behind.
# - Replace `hs.Uniform(-3, 3)` by `hs.Normal(0, 1)`: does a centre at 4 still count as inside?
