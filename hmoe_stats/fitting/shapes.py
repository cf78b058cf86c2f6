"""Shapes of models: which contain which, a measure written in a larger one, and parts of it taken out or exchanged.

All are maps of measures to measures; nothing is looked up in data.
"""

import numpy as np

from ..arguments import check_k2


def of_expert(G):
    """Names of the arrays that an expert brings along: those of its family, and the slopes of its gate."""
    return ("omega", *G.family.arrays)


def contains(k2, smaller):
    """True if every measure of shape `smaller` can be written as one of shape `k2`, by splitting experts and groups."""
    big, small = sorted(check_k2(k2), reverse=True), sorted(smaller, reverse=True)
    if len(big) < len(small) or any(m < s for m, s in zip(big, small, strict=False)):
        return False
    return all(m >= small[-1] for m in big)


def one_less(k2, start=None):
    """Shape with one expert (or one group of one) less, to be fitted first and split; None where there is none.

    It is the largest group that shrinks, the last among equals; with a start only as far as its shape is contained.
    """
    found = []
    for i in sorted(range(len(k2)), key=lambda i: (-k2[i], -i)):
        fewer = tuple(m - (g == i) for g, m in enumerate(k2))
        found.append(tuple(m for m in fewer if m))
    for shape in found:
        if shape and (start is None or contains(shape, start.k2)):
            return shape
    # a start that no intermediate shape contains (whole groups are missing) is split in one go
    return start.k2 if start is not None and start.k2 != k2 else None


def _assign(k2, smaller, rng):
    """For each group of `k2` the group of `smaller` it stands for: large ones for large ones, ties and extras drawn."""
    order = sorted(range(len(k2)), key=lambda i: (-k2[i], i))
    shuffled = rng.permutation(len(smaller))
    small_order = sorted(shuffled, key=lambda g: -smaller[g])
    if tuple(k2) == tuple(smaller) or all(m >= s for m, s in zip(k2, smaller, strict=False)):
        order, small_order = list(range(len(k2))), list(range(len(smaller)))
    out = np.empty(len(k2), dtype=int)
    for place, i in enumerate(order):
        if place < len(smaller):
            out[i] = small_order[place]
        else:
            out[i] = rng.choice([g for g in range(len(smaller)) if smaller[g] <= k2[i]])
    return out


def embed(G, k2, rng, choice=None, shares=None):
    """Write G exactly as a measure of the larger shape `k2`: groups and experts copied, their weights shared.

    Parameters
    ----------
    G : MixingMeasure
    k2 : tuple of int
        A shape that `contains` G's.
    rng : numpy.random.Generator
    choice : int, optional
        Number of the stratum: which expert is copied in each group, in mixed radix. Without it the heaviest gate
        intercept is halved, which keeps the gate inside any box that holds G's.
    shares : callable, optional
        Maps a number of copies to their shares of the weight; equal shares by default.

    Returns
    -------
    MixingMeasure
    """
    return embedding(G, k2, rng, choice, shares)[0]


def embedding(G, k2, rng, choice=None, shares=None):
    """As `embed`; also for each expert the expert of G it copies."""
    shares = shares or (lambda m: np.full(m, 1.0 / m))
    groups = _assign(k2, G.k2, rng)
    copies = np.bincount(groups, minlength=G.k1)
    b = G.b[groups] - np.log(copies[groups])
    leaves, beta = [], []
    for i, g in enumerate(groups):
        lo, hi = G.offsets[g], G.offsets[g + 1]
        mine, extra = list(range(lo, hi)), k2[i] - (hi - lo)
        weight = G.beta[lo:hi].copy()
        count = np.ones(hi - lo, dtype=int)
        for _ in range(extra):
            if choice is None:
                j = int(np.argmax(weight - np.log(count)))
            else:
                choice, j = divmod(choice, hi - lo)
            count[j] += 1
        parts = [weight[j] + np.log(shares(count[j])) for j in range(hi - lo)]
        leaves += [mine[j] for j in range(hi - lo) for _ in range(count[j])]
        beta += list(np.concatenate(parts))
    leaves = np.array(leaves)
    of_leaves = {name: getattr(G, name)[leaves] for name in of_expert(G)}
    measure = G.replace(k2=k2, a=G.a[groups], b=b, beta=beta, **of_leaves)
    return measure, groups, leaves


def strata(k2, smaller):
    """How many ways `embed` can choose the experts it copies, counted with order."""
    big, small = sorted(k2, reverse=True), sorted(smaller, reverse=True)
    small += [small[-1]] * (len(big) - len(small))
    return int(np.prod([float(s) ** (m - s) for m, s in zip(big, small, strict=True)]))


def about(G, middle, first, second):
    """G with intercepts as seen from the middle of x, and of the features of the gates of either level, (d,) each."""
    one, two = G.gates
    a, b = one.about(G.a, G.b, first)
    omega, beta = two.about(G.omega, G.beta, second)
    return G.replace(a=a, b=b, omega=omega, beta=beta, tau=G.tau + G.eta @ middle)


def drop(G, j):
    """G without expert j, whose group must hold another."""
    k2 = tuple(m - (g == G.group[j]) for g, m in enumerate(G.k2))
    names = ("beta", *of_expert(G))
    return G.replace(k2=k2, **{name: np.delete(getattr(G, name), j, axis=0) for name in names})


def swaps(k2):
    """Every order of the experts in which two of different groups have changed places."""
    group = np.repeat(np.arange(len(k2)), k2)
    for j, k in zip(*np.nonzero(group[:, None] < group), strict=True):
        order = np.arange(group.size)
        order[[j, k]] = k, j
        yield order


def transplant(G, H, i):
    """G with the experts of group i, and their gate, taken from H."""
    k2 = tuple(H.k2[g] if g == i else m for g, m in enumerate(G.k2))
    parts = {}
    for name in ("beta", *of_expert(G)):
        mine, hers = getattr(G, name), getattr(H, name)
        parts[name] = np.concatenate(
            [mine[: G.offsets[i]], hers[H.offsets[i] : H.offsets[i + 1]], mine[G.offsets[i + 1] :]]
        )
    return G.replace(k2=k2, **parts)
