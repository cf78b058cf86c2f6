"""Which cells can occur: the matchings of fitted groups with true ones, and the sizes of the Voronoi cells in them.

Where one fitted group covers a true group, a cell holds the fitted experts of one true expert (`Cell`). Where several
do, it holds those of all of them (`Shared`). Which gates are identified, `hmoe_stats.identify` says.
"""

from typing import NamedTuple

from .. import identify
from ..gates import of


class Cell(NamedTuple):
    """A kind of Voronoi cell of level 2."""

    m: int  # fitted experts in it
    regime: str  # "regular" | "edge" | "unidentified"
    gated: bool  # True if the true group has several experts, so that its gate says something


class Shared(NamedTuple):
    """A kind of Voronoi cell of level 2 whose true group is shared by fitted groups, two or more."""

    m: int  # fitted experts in it, over these groups
    groups: int  # fitted groups
    free: bool  # True if the level-1 gate is not identified
    split: int  # experts of one fitted group in the cell at most, if that group can have all its cells split; else 0
    averaged: bool  # True if the shares of the true experts average out
    compensated: int  # experts of one fitted group in the cell at most, if the groups can split all experts; else 0
    gated: bool  # as in Cell
    seen: bool  # True if some fitted group has several experts, and thus a gate
    tilt: int  # smallest number of fitted groups of a true group
    edge: bool  # True if its Laplace centre lies on an edge of the support, or beyond


def kinds(G0, ways, gating, support):
    """The kinds of groups, (size, regime), and of level-2 cells, over the ways of `identify.covers`."""
    edges = identify.at_edge(gating[0], G0.a, support)
    groups, cells = set(), set()
    for cover in ways:
        copies = [len(sizes) for sizes in cover]
        identified = identify.gate_identified(gating[0], G0.a, copies, support)
        free = identify.shares_vary(gating[0], G0.a, copies, support)
        for j, sizes in enumerate(cover):
            shared = len(sizes) > 1
            words = "unidentified" if not identified else "edge" if edges[j] else "regular" if shared else "any"
            groups.add((len(sizes), words))
            args = (G0, j, sizes, gating, free, min(copies), support) if shared else (G0, j, *sizes, gating, support)
            cells |= _shared_cells(*args) if shared else _cells(*args)
    return sorted(groups), sorted(cells, key=lambda cell: (isinstance(cell, Shared), *cell))


def _shared_cells(G0, group, sizes, gating, free, tilt, support):
    """The kinds of level-2 cells of one true group covered by several fitted groups of these sizes."""
    true, M, omega = G0.k2[group], len(sizes), G0.omega[G0.group == group]
    differ = identify.centres_differ(gating[1], omega, support)
    averaged = identify.averages_out(gating[1], omega, M, support)
    edges = set(identify.at_edge(gating[1], omega, support).tolist())
    cells = set()
    least = M if true > 1 else sum(sizes)  # the only expert of a group has all the fitted ones
    for m in range(least, sum(sizes) - M * (true - 1) + 1):
        most = m - (M - 1)  # of one fitted group, as the others have one at least
        split = 0
        for i, size in enumerate(sizes):  # may this group have all its cells split, this one among them?
            here = min(size - 2 * (true - 1), most)
            others = sum(sizes[:i] + sizes[i + 1 :]) - (M - 1) * (true - 1)
            split = max(split, here) if here >= max(2, m - others) and not differ else split
        rest = sum(sizes) - m - M * (true - 1)  # experts to spare for the other cells
        compensated = not of(gating)[1].located and true > 1 and m > M and rest >= true - 1
        cells |= {
            Shared(
                m, M, free, split, averaged, min(max(sizes) - (true - 1), most) if compensated else 0,
                gated=true > 1, seen=max(sizes) > 1, tilt=tilt, edge=edge,
            )
            for edge in edges
        }  # fmt: skip
    return cells


def covering(cell):
    """How the true expert of a cell is covered, in the words of `rates`."""
    return "shared" if isinstance(cell, Shared) else "exact" if cell.m == 1 else "over"


def regime(cell):
    """The regime of a cell, in the words of `rates`."""
    if isinstance(cell, Cell):
        return cell.regime
    if cell.edge and not cell.free:
        return "edge"
    names = ("regular", "unidentified", "level 1 unidentified", "both unidentified")
    return names[2 * cell.free + (cell.split > 0 or cell.averaged)]


def _cells(G0, group, fitted, gating, support):
    """The kinds of level-2 cells of one true group covered by `fitted` experts."""
    true, omega = G0.k2[group], G0.omega[G0.group == group]
    if true == 1:
        return {Cell(fitted, "regular" if fitted == 1 else "unidentified", gated=False)}
    cells = set()
    for m in range(1, fitted - true + 2):
        # all experts of the group can be split while this one has m copies only if the others find two each
        others = [2 if m >= 2 and m + 2 * (true - 1) <= fitted else 1] * (true - 1)
        identified = identify.gate_identified(gating[1], omega, [m, *others], support)
        for edge in set(identify.at_edge(gating[1], omega, support).tolist()):
            words = "unidentified" if not identified else "edge" if edge else "regular"
            cells.add(Cell(m, words, gated=True))
    return cells
