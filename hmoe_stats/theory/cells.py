"""Which cells can occur: the matchings of fitted groups with true ones, and the sizes of the Voronoi cells in them.

A fitted group covers a true one if it has at least as many experts. Where one fitted group covers a true group, a cell
holds the fitted experts of one true expert (`Cell`). Where several do, it holds those of all of them (`Shared`).
"""

from typing import NamedTuple

from ..matching import averages_out


class Cell(NamedTuple):
    """A kind of Voronoi cell of level 2."""

    m: int  # fitted experts in it
    regime: str  # "regular" | "unidentified"
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


def covers(true, fitted):
    """Every way to give all fitted groups true ones that they cover: {((sizes of the first's fitted groups), ...)}."""
    ways = {((),) * len(true)}
    for size in sorted(fitted):
        moves = ((way, j) for way in ways for j in range(len(true)) if true[j] <= size)
        ways = {(*way[:j], (*way[j], size), *way[j + 1 :]) for way, j in moves}
    return {way for way in ways if all(way)}


def kinds(G0, ways, gating):
    """The kinds of groups, (size, regime), and of level-2 cells, over the ways of `covers`."""
    pinned = gating[0] == "L" and (G0.a != G0.a[0]).any()
    groups, cells = set(), set()
    for cover in ways:
        tilt = min(len(sizes) for sizes in cover)
        free = tilt > 1 and not pinned
        for j, sizes in enumerate(cover):
            shared = len(sizes) > 1
            groups.add((len(sizes), ("unidentified" if free else "regular") if shared else "any"))
            cells |= _shared_cells(G0, j, sizes, gating, free, tilt) if shared else _cells(G0, j, *sizes, gating)
    return sorted(groups), sorted(cells, key=lambda cell: (isinstance(cell, Shared), *cell))


def _shared_cells(G0, group, sizes, gating, free, tilt):
    """The kinds of level-2 cells of one true group covered by several fitted groups of these sizes."""
    true, M = G0.k2[group], len(sizes)
    told_apart = gating[1] == "L" and _distinct(G0, group)
    cells = set()
    least = M if true > 1 else sum(sizes)  # the only expert of a group has all the fitted ones
    for m in range(least, sum(sizes) - M * (true - 1) + 1):
        most = m - (M - 1)  # of one fitted group, as the others have one at least
        split = 0
        for i, size in enumerate(sizes):  # may this group have all its cells split, this one among them?
            here = min(size - 2 * (true - 1), most)
            others = sum(sizes[:i] + sizes[i + 1 :]) - (M - 1) * (true - 1)
            split = max(split, here) if here >= max(2, m - others) and not told_apart else split
        rest = sum(sizes) - m - M * (true - 1)  # experts to spare for the other cells
        compensated = gating[1] == "S" and true > 1 and m > M and rest >= true - 1
        cells.add(
            Shared(
                m, M, free, split, averages_out(G0, group, M),
                min(max(sizes) - (true - 1), most) if compensated else 0,
                gated=true > 1, seen=max(sizes) > 1, tilt=tilt,
            )
        )  # fmt: skip
    return cells


def regime(cell):
    """The regime of a cell, in the words of `rates`."""
    if isinstance(cell, Cell):
        return cell.regime
    names = ("regular", "unidentified", "level 1 unidentified", "both unidentified")
    return names[2 * cell.free + (cell.split > 0 or cell.averaged)]


def _distinct(G0, group):
    """Whether the gates of a group are not all equal."""
    gates = G0.omega[G0.group == group]
    return bool((gates != gates[0]).any())


def _cells(G0, group, fitted, gating):
    """The kinds of level-2 cells of one true group covered by `fitted` experts."""
    true = G0.k2[group]
    if true == 1:
        return {Cell(fitted, "regular" if fitted == 1 else "unidentified", gated=False)}
    told_apart = gating[1] == "L" and _distinct(G0, group)
    regimes = {}
    for m in range(1, fitted - true + 2):
        # all cells of the group can be split while this one has m only if the others find two experts each
        all_split = m >= 2 and m + 2 * (true - 1) <= fitted
        regimes[m] = "unidentified" if all_split and not told_apart else "regular"
    return {Cell(m, words, gated=True) for m, words in regimes.items()}
