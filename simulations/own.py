"""A fit to a user's own table: as it is printed and drawn, and as one page of HTML, which needs no network."""

import importlib.resources
from dataclasses import dataclass
from string import Template

import numpy as np

from .markup import bullets, definitions, html_table, html_text, page_style, plain_rows, svg_element
from .messages import visible

TABLE = ("gating", "k2", "log_likelihood", "df", "status")  # of a selection, before its criteria
CAPTION = {
    True: "The data, coloured by the experts that hold them, with each expert's line and two standard deviations; the "
    "black line is the mean, the strip below the weights of the gates.",
    False: "The response against its fitted mean, coloured by the experts that hold each row.",
}
RESIDUALS = "Quantile residuals against the normal law: on the line if the model is right."
CHOICE = "What speaks for each number of experts; the ring is the model that was taken."


@dataclass(frozen=True)
class Outcome:
    """What `hmoe fit` found.

    Attributes
    ----------
    fit : FitResult
    rows : int
        Of the table.
    notes : list of str
        How the table was read, and what was left out of it.
    selection : Selection or None
        That the fit was taken from, by `criterion`.
    criterion : str
    samples : Bootstrap or None
    intervals : DataFrame or None
        Of the bootstrap: low and high by parameter.
    """

    fit: object
    rows: int
    notes: list
    selection: object = None
    criterion: str = ""
    samples: object = None
    intervals: object = None

    @property
    def warnings(self):
        """Warnings of the fit that are no notes on the table."""
        return [text for text in self.fit.warnings if text not in self.notes]


def text(found):
    """The lines that `hmoe fit` prints."""
    fit = found.fit
    yield f"y = {visible(fit.y_name)}, X = {', '.join(map(visible, fit.x_names))}; {len(fit.known_data().y)} rows"
    if found.selection is not None:
        yield selection_table(found.selection).to_string(index=False, na_rep="-")
        for (gating, k2), reason in found.selection.reasons.items():
            if reason:
                yield visible(f"{gating} {k2}: {reason}")
        yield f"taken: {fit.measure.gating} {fit.measure.k2}, the best by {found.criterion}"
    yield fit.measure.to_string(fit.x_names)
    yield f"log-likelihood  {fit.log_likelihood!r}"
    yield f"status          {fit.status}: {visible(fit.message)}"
    yield f"score norm      {fit.score_norm:.1e} after {fit.n_iter} iterations"
    if fit.active_bounds:
        yield f"at its bound    {visible(', '.join(fit.active_bounds))}"
    yield ""
    yield repr(fit.summary())
    if found.intervals is not None:
        yield f"\n{found.samples}; 95 % intervals"
        yield found.intervals.rename(index=visible).to_string(float_format=lambda v: f"{v:.4g}")


def as_json(found):
    """What `hmoe fit --json` prints, as a dict."""
    fit, penalty = found.fit, found.fit.penalty
    out = {
        "y": fit.y_name, "x": fit.x_names, "n": len(fit.known_data().y), "gating": fit.measure.gating,
        "k2": fit.measure.k2, "log_likelihood": fit.log_likelihood, "status": fit.status, "converged": fit.converged,
        "message": fit.message, "score_norm": fit.score_norm, "n_iter": fit.n_iter,
        "active_bounds": fit.active_bounds, "warnings": list(fit.warnings), "notes": found.notes,
        "parameters": fit.measure.to_dict(), "penalised_log_likelihood": fit.penalised_log_likelihood,
        "penalty": penalty and {"variance": penalty.variance, "ridge": penalty.ridge},
    }  # fmt: skip
    if found.selection is not None:
        rows = found.selection.table.to_dict("records")
        out |= {"criterion": found.criterion, "selection": rows}
    if found.intervals is not None:
        ends = found.intervals.itertuples()
        out["bootstrap"] = {"statuses": found.samples.statuses, "intervals": {e.Index: [e.low, e.high] for e in ends}}
    return out


def classes_text(fit, rows):
    """What `hmoe fit` prints of a fit to classes, to a table of so many rows."""
    right = np.average(fit.predict(fit.data.X) == np.array(fit.classes)[fit.data.codes], weights=fit.data.weights)
    head = f"y = {visible(fit.y_name)}, X = {', '.join(map(visible, fit.x_names))}; {len(fit.data.X)} of {rows} rows"
    classes = f"classes         {', '.join(visible(str(label)) for label in fit.classes)}"
    loss = f"log loss        {-fit.log_likelihood / fit.nobs:.4f} nats a row, of the rows that were fitted"
    share = f"right           {100 * right:.1f} % of them"
    return "\n".join([head, classes, loss, share, repr(fit)])


def classes_as_json(fit, notes):
    """What `hmoe fit --json` prints of a fit to classes, as a dict."""
    return {
        "y": fit.y_name, "x": fit.x_names, "n": len(fit.data.X), "gating": fit.measure.gating, "k2": fit.measure.k2,
        "classes": fit.classes, "log_likelihood": fit.log_likelihood, "status": fit.status,
        "converged": fit.converged, "message": fit.message, "score_norm": fit.score_norm, "n_iter": fit.n_iter,
        "active_bounds": fit.active_bounds,
        "warnings": [text for text in fit.warnings if text not in notes], "notes": notes,
        "parameters": fit.measure.to_dict(), "penalised_log_likelihood": fit.penalised_log_likelihood,
        "ridge": {"gates": fit.ridge[0], "experts": fit.ridge[1]},
    }  # fmt: skip


def selection_table(selection):
    """The table of a selection as it is read: rounded, without the reasons for what is missing."""
    digits = {"log_likelihood": 2, "cv": 4, "cv_worst": 2, "dendrogram": 4} | dict.fromkeys(("aic", "bic", "icl"), 2)
    table = selection.table
    table = table[[*TABLE, *(name for name in table if name in digits and name not in TABLE)]]
    table = table.assign(df=[f"{df:.0f}" if df == df else "-" for df in table["df"]])
    return table.assign(status=table["status"].fillna("no fit")).round(digits)


# -- the figure -------------------------------------------------------------------------------------------------------
def figure(found):
    """The fit on its data, its residuals, and what it was chosen by: a matplotlib Figure."""
    from matplotlib.figure import Figure

    from hmoe_stats import plotting

    several = found.selection is not None
    with plotting.style():
        out = Figure(figsize=(plotting.PAGE, 6.2 if several else 3.3))
        panels = out.subplot_mosaic([["fit", "residuals"], *[["choice", "choice"]] * several])
        data = found.fit.known_data()
        if found.fit.measure.d == 1:
            plotting.fit_plot(found.fit, data.X, data.y, panels["fit"])
        else:
            _against_mean(found.fit, data, panels["fit"])
        plotting.qq_plot(found.fit, panels["residuals"])
        if several:
            plotting.criterion_plot(found.selection, panels["choice"], criterion=found.criterion)
    return out


def _against_mean(fit, data, ax):
    from matplotlib.colors import to_rgb

    import hmoe_stats as hs
    from hmoe_stats import plotting

    mean, K = fit.predict(data.X), fit.measure.n_experts
    colors = [to_rgb(plotting.COLORS[j % len(plotting.COLORS)]) for j in range(K)]
    mixed = (hs.responsibilities(fit, data.X, data.y) @ np.array(colors)).clip(0, 1)
    ax.scatter(mean, data.y, s=6, c=mixed, alpha=0.6, linewidths=0)
    ends = [min(mean.min(), data.y.min()), max(mean.max(), data.y.max())]
    ax.plot(ends, ends, color="0.35", linestyle="--", linewidth=0.7)
    for j, color in enumerate(colors):
        ax.plot([], [], marker="o", linestyle="none", color=color, label=f"expert {plotting.place_of(fit.measure, j)}")
    ax.legend(loc="best")
    ax.set(xlabel="fitted mean", ylabel=plotting.axis_label(fit.y_name))


# -- the page ---------------------------------------------------------------------------------------------------------
def page(found, source):
    """The page of a fit.

    Parameters
    ----------
    found : Outcome
    source : str
        Name of the table.

    Returns
    -------
    str
        HTML, self-contained. Equal outcomes give equal pages.
    """
    import hmoe_stats as hs

    fit, summary = found.fit, found.fit.summary()
    folder = importlib.resources.files(__package__)
    title = f"{fit.y_name}: {fit.measure.gating} {fit.measure.k2}"
    facts = {"Covariates": ", ".join(fit.x_names)} | summary.facts
    facts |= {"Rows of the table": str(found.rows), "Effort": fit.effort, "Made by": f"hmoe-stats {hs.__version__}"}
    caption = [CAPTION[fit.measure.d == 1], RESIDUALS] + [CHOICE] * (found.selection is not None)
    return Template((folder / "own.html.in").read_text(encoding="utf-8")).substitute(
        title=html_text(title),
        source=html_text(source),
        style=page_style(),
        facts=definitions((name, html_text(value)) for name, value in facts.items()),
        warnings=bullets([*found.notes, *found.warnings]),
        drawing=svg_element(figure(found), title, "fit"),
        caption=html_text(" ".join(caption)),
        parameters=_parameters(summary, found.intervals),
        notes=bullets(note for note in summary.notes if not note.startswith("Warning: ")),
        selection=_selection(found),
    )


def _parameters(summary, intervals):
    heads, rows = ["", *summary.columns], []
    extra = {} if intervals is None else {name: tuple(ends) for name, *ends in intervals.itertuples()}
    heads += ["bootstrap low", "bootstrap high"] if extra else []
    for name, (*numbers, status) in summary.rows.items():
        cells = ["" if v is None else f"{v:.3f}" if k == 3 else f"{v:.4g}" for k, v in enumerate(numbers)]
        rows.append([name, *cells, status, *(f"{v:.4g}" for v in extra.get(name, ()))])
    return html_table("Estimates and 95 % intervals", heads, plain_rows(rows))


def _selection(found):
    if found.selection is None:
        return ""
    table = selection_table(found.selection)
    rows = [["-" if v != v else str(v) for v in row] for row in table.itertuples(index=False)]
    reasons = [f"{gating} {k2}: {reason}" for (gating, k2), reason in found.selection.reasons.items() if reason]
    body = html_table(f"Models, of which the best by {found.criterion} was taken", list(table), plain_rows(rows))
    return f'<section id="selection">\n<h2>Models compared</h2>\n{body}{bullets(reasons)}\n</section>'
