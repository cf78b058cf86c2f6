"""The pictures of the pages, drawn into docs/generated where they are missing, or older than this file."""

from pathlib import Path

import matplotlib
from generated import OUT
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

import hmoe_stats as hs
from hmoe_stats import plotting

CODE = Path(__file__)
LAW = hs.Uniform(-3, 3)


def model():
    """A sample of C2 with its experts and gates, and beside it the tree."""
    G = hs.datasets.truth("C2", "SS")
    X, y = hs.sample(G, 600, x=LAW, seed=1)
    figure = Figure(figsize=(8.8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    plotting.fit_plot(G, X, y, left)
    plotting.tree_plot(G, X, right)
    return figure


STAGES = (
    "start: a smaller model, clusters of rows, a given measure",
    "grow: insert the experts that would add most",
    "race: climb by Newton, drop those far behind",
    "exchange: cross optima, give experts back, move centres",
    "certify: score, bounds, eigenvalues, second optimum",
)


def search():
    """The stages of a search, and where the starts of one ended."""
    X, y = hs.sample(hs.datasets.truth("C2", "SS"), 600, x=LAW, seed=1)
    fit = hs.fit(X, y, gating="SS", k2=(2, 3), effort="quick", seed=0)
    figure = Figure(figsize=(9.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    left.set(xlim=(0.05, 1.05), ylim=(len(STAGES) - 0.4, -0.6))
    left.axis("off")
    for i, stage in enumerate(STAGES):
        box = {"boxstyle": "round,pad=0.45", "facecolor": "0.96", "edgecolor": "0.6"}
        left.text(0.46, i, stage, ha="center", va="center", fontsize=8, bbox=box)
        if i:
            left.add_patch(FancyArrowPatch((0.46, i - 0.68), (0.46, i - 0.3), arrowstyle="-|>", mutation_scale=9))
    bend = {"connectionstyle": "arc3,rad=0.5", "arrowstyle": "-|>", "mutation_scale": 9}
    left.add_patch(FancyArrowPatch((0.88, 3), (0.81, 2), **bend))
    left.text(0.95, 2.5, "while\nit helps", fontsize=7, va="center")
    starts = fit.starts
    starts = starts[starts["note"] == ""].assign(below=fit.penalised_log_likelihood - starts["log_likelihood"])
    kinds = sorted(starts["kind"].unique())
    for k, status in enumerate(("behind", "merged", "converged")):
        part = starts[starts["status"] == status]
        places = [kinds.index(kind) + 0.2 * (k - 1) for kind in part["kind"]]
        look = {"color": plotting.COLORS[k], "markersize": 4, "label": status}
        right.plot(places, part["below"].clip(lower=0), plotting.MARKERS[k], **look)
    right.set_xticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], rotation=20)
    right.set_yscale("symlog", linthresh=0.1)
    right.set(ylabel="log-likelihood below the best", xlabel="where the start came from", ylim=(-0.03, None))
    right.legend(title="how it ended", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw(app, config):
    folder = OUT / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (model, search):
        file = folder / f"{picture.__name__}.png"
        if not file.exists() or file.stat().st_mtime < CODE.stat().st_mtime:
            with matplotlib.rc_context({"savefig.dpi": 180, "savefig.facecolor": "white"}), plotting.style():
                picture().savefig(file)


def setup(app):
    app.connect("config-inited", draw, priority=600)  # after what else is generated
    return {"parallel_read_safe": True, "parallel_write_safe": True}
