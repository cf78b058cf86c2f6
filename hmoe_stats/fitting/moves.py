"""The moves of a search: plain functions (search, pool, rng) -> starts, each of which looks for optima in its own way.

A start is a pair (kind, coordinates). `search` is what all sizes of a model share (`mle.Search`): the data, the box,
the effort; `pool` holds the optima of one size. Which move comes when is the business of `mle`.
"""

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from .. import kernels
from . import em, shapes, starts
from .insertion import insertions
from .race import Pool

CLUSTER_STARTS = 4  # of those without a measure to start from: regardless of the smaller fit
LEADERS = 12  # optima that are carried on to the larger model, moved, and crossed
JITTERED, RECENTRED = 7, 12  # copies of an optimum that is shaken
MOVED = 6  # copies of a leader with a gate's centres moved together, and as many with them moved apart
SCATTERED = 16  # places of the centres of Laplace gates tried for experts that have changed places
EM_ROWS, EM_STEPS = 2000, 30  # EM warms a start on at most so many rows, in so many steps


@dataclass(frozen=True)
class Effort:
    """How widely optima are sought.

    Attributes
    ----------
    name : str
    first, grown : int
        Starts of the smallest model, and at every stage of each larger one.
    drawn : int
        Random experts judged for each one that is inserted.
    bases : int
        Smaller optima of a kind that experts are inserted into as a model grows.
    emptied : int
        Optima that give an expert back in an exchange.
    crossed : int or None
        Most pairs of optima that are crossed in an exchange; None: all pairs of leaders, as the likelihood of a pair
        says little before its climb.
    leaders_move : bool
        Whether exchanges first move all leading optima.
    regroups : bool
        Whether experts of different groups change places, and optima are shaken.
    regroups_again : bool
        Whether the optimum that comes out of exchanges is regrouped, too, and not only shaken.
    exchanges_large : bool
        Whether there are exchanges where n is large, beyond `problem.LARGE`, too. There growth has narrow splits of
        every expert, and the starts of an exchange begin far from every valley: on 11 data sets of C2, n = 1e6 to
        1e12, SS, SL, LS, LL, they took 40 to 60 percent of the time and gained .0012 at most.
    on_cells : bool
        Whether optima are sought on cells of rows (`rows.cells`) where there is one covariate and rows are more than
        `CELLED`; those that lead are climbed on, on all rows.

    `benchmarks/optimum.csv` says how often the usual effort finds the best optimum of 200 starts; with forty starts
    instead of eighty nine of twelve optima are missed that eighty find.
    """

    name: str
    first: int
    grown: int
    drawn: int
    bases: int
    emptied: int
    crossed: int | None
    leaders_move: bool
    regroups: bool = True
    regroups_again: bool = True
    exchanges_large: bool = True
    on_cells: bool = False

    def __str__(self):
        return f"{self.name}, {self.grown} starts at every stage"


_WIDE: dict[str, Any] = {"drawn": 100, "bases": 3, "emptied": 6, "crossed": None, "leaders_move": True}
EFFORTS = {
    "quick": Effort("quick", 12, 12, 50, 1, 1, 6, leaders_move=False, regroups_again=False, exchanges_large=False),
    "usual": Effort("usual", 8, 80, **_WIDE),
    "wide": Effort("wide", 200, 200, **_WIDE),
    "cells": Effort("cells", 8, 32, 50, 2, 2, 24, leaders_move=False, exchanges_large=False, on_cells=True),
}
CELLED = 20_000  # rows
CELLS = 1000  # at least: fewer are rows that are written often, or rows of which a few lie far away from all others
FEW = 40  # starts below which the moves are those of "quick": wide ones take longer than that many climbs


def effort_of(name, n_starts):
    """The preset `name`, by default "usual", with `n_starts` starts at every stage if they are given.

    Without a name they choose the preset: "quick" below `FEW` starts, else "usual"; one start is not regrouped.
    """
    if n_starts is None:
        return EFFORTS[name or "usual"]
    preset = EFFORTS[name or ("quick" if n_starts < FEW else "usual")]
    return replace(preset, first=n_starts, grown=n_starts, regroups=n_starts > 1)


# -- growth -----------------------------------------------------------------------------------------------------------
def first(search, pool, rng):
    """Starts of the smallest model: around the measure to start from, or from the data."""
    if search.start is not None:
        return [("truth", z) for z in _around(search, pool.problem, search.start, rng, search.effort.first)]
    return from_data(search, pool, rng, search.effort.first)


def from_data(search, pool, rng, count):
    """k-means++ clusters and random regressions in turn, warmed by EM."""
    few = pool.problem.thinned(rng, EM_ROWS)
    makes = [(starts.from_clusters, starts.random)[number % 2] for number in range(count)]
    made = search.team.map(lambda G: warmed(few, G), [make(few, rng) for make in makes])
    return [(make.__name__, z) for make, z in zip(makes, made, strict=True)]


def growth(search, pool, rng, leaders):
    """Starts of a model with one expert (or one group) more than that of the optima `leaders`, the best first.

    A new expert is put where the likelihood asks for one. Groups hardly interact: where another group grew before,
    optima from there are crossed with optima in which this one grew instead.
    """
    problem, effort, count = pool.problem, search.effort, search.effort.grown
    grown = count if search.start is not None else max(count - CLUSTER_STARTS, (count + 1) // 2)
    best, bases, met, out = leaders[0][1], [], [], []
    if best.k1 == problem.k1 and best.n_experts == problem.K - 1:
        met, siblings = crosses(search, problem, leaders, (grown + 1) // 2, rng)
        out += [("cross", z) for z in met]
        # those that grew here last, and those that grew elsewhere
        bases = [H for _, H in leaders[: effort.bases] + siblings[: effort.bases]]
    for number, H in enumerate(bases, 1):
        # crosses of all pairs leave no number of starts to share out
        room = grown // 4 if met and effort.crossed is None else (grown - len(out)) // (len(bases) + 1 - number)
        out += inserted(search, problem, H, rng, room)
    missing = 0 if met else grown - len(out)  # whole groups, or no room for an expert
    for number in range(missing):
        measure, kind = starts.split(best, problem.k2, search.X, rng, number, search.weights)
        out.append((f"split:{kind}", problem.from_measure(measure)))
    return out + from_data(search, pool, rng, count - grown)


def inserted(search, problem, G, rng, count):
    """Starts with one expert more than G, where the likelihood asks for one; where n is large half are near splits."""
    near = count // 2 if problem.large else 0
    out = [("insert", z) for z in insertions(problem, G, rng, count - near, search.effort.drawn, team=search.team)]
    return out + near_splits(search, problem, G, rng, near)


def near_splits(search, problem, G, rng, count):
    """Starts in which copies of an expert of the smaller G lie so near each other as n rows hardly tell."""
    few = (starts.near_split(G, problem, search.X, rng, number) for number in range(count))
    return [("near", problem.from_measure(H)) for H in few]


def crosses(search, problem, leaders, count, rng):
    """Optima that grew in another group last, each with the growing group of one that grew in this one instead.

    Also the latter, (log-likelihood, measure), the best first; where groups did not grow in turn there are none.
    """
    best = leaders[0][1]
    smallest = shapes.one_less(best.k2, search.start)
    if smallest is None or len(smallest) != problem.k1:
        return [], []
    (i,), (j,) = (np.flatnonzero(np.subtract(*pair)) for pair in ((problem.k2, best.k2), (best.k2, smallest)))
    if i == j:
        return [], []  # the same group grew twice
    base = without(search, [best], j)[0]
    sibling = search.pool(search.problem(tuple(m + (g == i) for g, m in enumerate(smallest))))
    sibling.race(inserted(search, sibling.problem, base, rng, search.effort.grown))
    others = [run.entry for run in sibling.optima[:LEADERS]]
    return likeliest(search, problem, [(A, B, i) for _, A in leaders for _, B in others], count), others


def likeliest(search, problem, pairs, count):
    """The measures A with group i of B instead of their own: the likeliest `count`, or all where all are crossed."""
    made = [problem.from_measure(shapes.transplant(A, B, i)) for A, B, i in pairs]
    value = np.array(search.team.map(lambda z: problem.value(z, problem.smoothing), made))
    kept = None if search.effort.crossed is None else count
    return [made[k] for k in np.argsort(-value, kind="stable")[:kept]]


def without(search, measures, i):
    """The optima that measures of one shape lead to once one expert of group i is taken out, the best first."""
    k2 = measures[0].k2
    pool = search.pool(search.problem(tuple(m - (g == i) for g, m in enumerate(k2))))
    pool.race(
        [
            ("drop", pool.problem.from_measure(shapes.drop(G, j)))
            for G in measures
            for j in range(G.offsets[i], G.offsets[i + 1])
        ]
    )
    return [run.entry[1] for run in pool.optima]


# -- exchanges --------------------------------------------------------------------------------------------------------
def reinsertions(search, pool, rng, i):
    """The best optima with an expert of group i taken out, and another put where the likelihood asks for one."""
    each = search.effort.emptied
    bases = without(search, [pool.problem.to_measure(run.optimum.z) for run in pool.optima[:each]], i)[:each]
    shares = np.diff(np.linspace(0, search.effort.grown, len(bases) + 1).astype(int))
    return [
        ("exchange", z)
        for G, count in zip(bases, shares, strict=True)
        for z in insertions(pool.problem, G, rng, count, search.effort.drawn, team=search.team)
    ]


def moved_leaders(search, pool, rng, known):
    """The leading optima moved, but those of the numbers `known`: kinks hold centres where they were before an expert
    came; without Laplace gates all parameters are moved a little."""
    copies = (0, MOVED, MOVED) if pool.problem.located else (2 * MOVED, 0, 0)
    still = [run for run in pool.optima[:LEADERS] if run.number not in known]
    return [entry for run in still for entry in shakes(search, pool, rng, run.optimum, *copies)]


def matings(search, pool, rng, known):
    """The leading optima with a group of another one, but for pairs whose numbers are both `known`."""
    problem = pool.problem
    optima = [(run.number, problem.to_measure(run.optimum.z)) for run in pool.optima[:LEADERS]]
    # of two groups the first is exchanged too, with A and B in turn
    new = [(A, B) for (v, A), (w, B) in permutations(optima, 2) if not {v, w} <= known]
    pairs = [(A, B, g) for A, B in new for g in range(1, problem.k1)]
    return [("cross", z) for z in likeliest(search, problem, pairs, search.effort.crossed)]


# -- regroupings and shakes -------------------------------------------------------------------------------------------
def regroupings(search, pool, rng):
    """The best optimum with any two experts of different groups in each other's place, and shaken."""
    problem, optimum = pool.problem, pool.best.optimum
    few = problem.thinned(rng, EM_ROWS)
    held = kernels.responsibilities(few.X, few.y, few.kernel_args(optimum.z), few.smoothing)[1]
    held += 1e-6  # an expert without rows starts from all of them
    swapped = [starts.from_weights(few, held[order]) for order in shapes.swaps(problem.k2)]
    led = _regated(search, few, swapped, rng) if problem.located else search.team.map(lambda G: warmed(few, G), swapped)
    return [("regroup", z) for z in led] + shakes(search, pool, rng)


def shakes(search, pool, rng, optimum=None, jittered=JITTERED, together=RECENTRED, apart=0):
    """Copies of an optimum, the best one: jittered, and with the centres of a Laplace gate moved together, or apart."""
    problem = pool.problem
    G = problem.to_measure((optimum or pool.best.optimum).z)
    moved = [("jitter", z) for z in _around(search, problem, G, rng, jittered + 1)[1:]]
    if problem.located:
        recentred = [starts.recentre(G, search.X, rng, k >= together, search.weights) for k in range(together + apart)]
        moved += [("recentre", problem.project(problem.from_measure(H))) for H in recentred]
    return moved


def warmed(few, G):
    """Coordinates of where EM leads from the measure G on a few rows."""
    return few.draw_in(em.run(few, few.from_measure(G), few.smoothing, EM_STEPS, tol=1e-3)[0])


def _regated(search, few, measures, rng):
    """Coordinates of where measures lead to on a few rows, each by the best of several places for its centres."""
    tried = [[G, *(starts.scatter(G, search.X, rng, search.weights) for _ in range(SCATTERED - 1))] for G in measures]

    def led(places):
        pool = Pool(few, search.max_iter)
        pool.race([("", few.project(few.from_measure(H))) for H in places])
        return few.draw_in(pool.best.optimum.z)

    return search.team.map(led, tried)


def _around(search, problem, G, rng, count):
    """G and jittered copies of it."""
    moved = [starts.jitter(G, search.X, rng, 0.1 * (1 + number % 4), search.weights) for number in range(1, count)]
    return [problem.from_measure(measure) for measure in (G, *moved)]
