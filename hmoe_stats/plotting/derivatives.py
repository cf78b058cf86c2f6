"""Which derivatives of a density depend on each other."""

from __future__ import annotations

import re
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Rectangle

from ..arguments import cut, shown
from ..kinds import Axes
from ..theory import Interactions
from .looks import as_axes, style


def interaction_plot(result: Interactions, ax: Axes | None = None, *, names: Sequence[str] | None = None) -> Axes:
    """Cosines between the derivatives of a density, the identities among them framed and written beside.

    The lower triangle shows the cosine of each pair in L2(P_0). A frame marks a derivative and a term of the identity
    that it obeys. The upper triangle lists the identities, and the smallest other angles of derivatives to the span of
    those of lower order.

    Parameters
    ----------
    result : Interactions
        Of `hmoe_stats.theory.interactions`.
    ax : matplotlib Axes, optional
    names : sequence of str, optional
        The derivatives to show, among ``result.names``; by default all.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no name, or an unknown one.
    """
    from ..theory import Interactions

    if not isinstance(result, Interactions):
        raise ValueError(f"result must be an Interactions; got {shown(result)}")
    wanted = f"some of {cut(', '.join(result.names), 300)}"
    if names is not None and not isinstance(names, tuple | list):
        raise ValueError(f"names must be a sequence, {wanted}; got {shown(names)}")
    names = list(result.names if names is None else names)
    unknown = [name for name in names if not isinstance(name, str) or name not in result.names]
    if unknown or not names:
        raise ValueError(f"names must be {wanted}; got {shown(unknown[0]) if unknown else repr('none')}")
    where = [result.names.index(name) for name in names]
    cosines = result.correlation[np.ix_(where, where)]
    above = np.triu(np.ones_like(cosines, dtype=bool), 1)
    with style():
        ax = as_axes(ax)
        image = ax.imshow(np.ma.array(cosines, mask=above), cmap="RdBu_r", vmin=-1, vmax=1)
        ax.figure.colorbar(image, ax=ax, label="cosine in L2", shrink=0.6, ticks=(-1, -0.5, 0, 0.5, 1))
        labels = [f"${_math(name)}$" for name in names]
        ticks = range(len(names))
        ax.set_xticks(ticks, labels, rotation=90)
        ax.set_yticks(ticks, labels)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for identity in result.identities:
            *terms, last = np.flatnonzero(identity.vector).tolist()
            for term in terms:
                if term in where and last in where:
                    row, column = sorted((where.index(last), where.index(term)), reverse=True)
                    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1))
        size = mpl.rcParams["legend.fontsize"]
        ax.text(1, 1, "\n".join(_interaction_lines(result)), transform=ax.transAxes, ha="right", va="top", size=size)
    return ax


def _interaction_lines(result, most=8):
    lines = [f"{result.measure.gating}, {result.form}: {len(result.identities)} identities"]
    lines += [_in_math(identity.text) for identity in result.identities[:most]]
    more = len(result.identities) - most
    lines += [f"and {more} more"] if more > 0 else []
    lines += [f"{_in_math(name)} not in L2" for name in list(result.missing)[:most]]
    table = result.to_frame()
    table = table[(table["order"] > 1) & (table["identity"] == "")].nsmallest(3, "angle")
    angles = zip(table["derivative"], table["angle"], strict=True)
    return lines + [f"angle {_in_math(name)}: {angle:.3g}\N{DEGREE SIGN}" for name, angle in angles]


def _in_math(text):
    return re.sub(r"d\d?/d\S+(?: d[a-z]\S*)*", lambda found: f"${_math(found[0])}$", text)


def _math(name):
    """``d2/domega_0 dtau[0,1]`` in mathtext."""
    above, _, below = name.partition("/")
    parts = []
    for part in below.split(" "):
        letter, coordinate, at, power = re.fullmatch(r"d([a-z]+)(_\d+)?(\[.*\])?\^?(\d*)", part).groups("")
        letter = letter if letter in "ab" else f"\\{letter}"
        index = ",".join(piece for piece in (coordinate[1:], at[1:-1]) if piece)
        parts.append(rf"\partial {letter}" + (f"_{{{index}}}" if index else "") + (f"^{power}" if power else ""))
    order = f"^{above[1:]}" if above[1:] else ""
    return rf"\partial{order}/{''.join(parts)}"
