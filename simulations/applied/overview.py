"""Gates at work: the applied studies on one page, from the tables beside their figures."""


from ..files import read_csv
from .pictures import forest
from .tables import ALL

HEIGHT = 7.6  # inches
STUDIES = ("images", "tables", "domains", "modalities", "units", "sample-size")


def figure(folder):
    """Six panels, a study each, from the tables in `folder`; None where one has no tables there.

    Parameters
    ----------
    folder : Path
        That of the figures.
    """
    from matplotlib.figure import Figure

    from hmoe_stats import plotting

    files = [folder / f"applied-{name}" / ("curves.csv" if name == "sample-size" else "scores.csv") for name in STUDIES]
    if not all(file.exists() for file in files):
        return None
    scores = {name: read_csv(file) for name, file in zip(STUDIES, files, strict=True)}
    gaps = {name: read_csv(folder / f"applied-{name}" / "differences.csv") for name in STUDIES}
    with plotting.style():
        out = Figure(figsize=(plotting.PAGE, HEIGHT))
        axes = out.subplots(3, 2).ravel()
        part = scores["images"]
        part = part[(part["score"] == "log loss") & part["k2"].isin(["2,2", ""])]
        _forest(axes[0], part, part["model"], "mean", "digits: log loss, (2, 2) and references")
        part = gaps["tables"]
        part = part[(part["score"] == "log loss") & (part["task"] == ALL)]
        _forest(axes[1], part, part["model"], "difference", "eleven tables: log loss less that of SS")
        part = scores["domains"]
        part = part[part["score"] == "adjusted Rand, posterior"]
        names = part["task"] + ": " + part["model"]
        _forest(axes[2], part, names, "mean", "hidden domains: adjusted Rand of level 1")
        part = gaps["modalities"]
        part = part[(part["score"] == "log loss") & part["model"].str.contains(" gates on ") & (part["task"] != ALL)]
        names = part["task"].str.removesuffix(" in blocks") + ": " + part["model"]
        _forest(axes[3], part, names, "difference", "two blocks: log loss less that of SS on both")
        part = gaps["units"]
        part = part[(part["score"] == "log loss") & part["model"].isin(["LL", "LL per unit"])]
        names = part["task"] + ": " + part["model"]
        _forest(axes[4], part, names, "difference", "units of x: log loss less that of SS")
        _curves(axes[5], scores["sample-size"])
    return out


def _forest(ax, part, names, value, title):
    forest(ax, list(names), list(zip(part[value], part["low"], part["high"], strict=True)))
    ax.set_title(title, loc="right")


def _curves(ax, curves):
    from hmoe_stats import plotting

    chosen = curves[(curves["parameter"] == "expert") & (curves["statistic"] == "mean")]
    parts = {f"{gating} ({k2})": part for (gating, k2), part in chosen.groupby(["gating", "k2"])}
    for (name, part), look in zip(parts.items(), plotting.series_looks(list(parts)), strict=True):
        part = part[part["size"] == part["size"].max()].sort_values("n")
        ax.loglog(part["n"], part["value"], label=name, **look)
    ax.set(xlabel="sample size n", ylabel="expert function over the cell")
    ax.set_title("random truths, (2,2) exact", loc="right")
    plotting.label_powers(ax.xaxis)
    plotting.label_powers(ax.yaxis, few=True)
    ax.legend()
