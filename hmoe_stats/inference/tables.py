"""The tables of a fit: estimates with standard errors and intervals, their covariance, the summary, fits compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from textwrap import fill

import numpy as np
from scipy.special import ndtr, ndtri

from .. import gates
from ..arguments import check_flag, shown
from ..fitting import FitResult
from ..kinds import Frame
from ..names import visible
from .curvature import CHANCE, ESTIMATED, InferenceError, refusal, some, usable
from .functionals import check_kind, check_level


def statuses(curvature, kind="hessian"):
    """Status of every parameter, or why it is held, (q,); and variances (q,)."""
    place = curvature.coordinates
    variance, status = curvature.variance(np.eye(len(place.names)), kind)
    doubted = (place.experts >= 0) & curvature.chance[place.experts]
    status[doubted & (status == ESTIMATED)] = CHANCE
    pairs = zip(place.names, status.tolist(), strict=True)
    return np.array([place.held.get(name, known) for name, known in pairs], dtype=object), variance


def params(fit):
    """`FitResult.params`."""
    import pandas as pd

    place = fit.curvature.coordinates
    return pd.Series(place.values, index=list(place.names), name="coef")


def bse(fit, kind="hessian"):
    """Standard errors, a Series; infinite where a parameter is not identified or held."""
    import pandas as pd

    curvature = usable(fit)
    status, variance = statuses(curvature, check_kind(kind))
    error = np.where(status == ESTIMATED, np.sqrt(variance), np.inf)
    return pd.Series(error, index=list(curvature.coordinates.names), name="std err")


def cov_params(fit, kind="hessian", identified=False):
    """`FitResult.cov_params`."""
    import pandas as pd

    kind, curvature = check_kind(kind), usable(fit)
    names = np.array(curvature.coordinates.names)
    known = statuses(curvature, kind)[0] == ESTIMATED
    if not (check_flag("identified", identified) or known.all()):
        which = f"{some(names[~known].tolist())} without a standard error"
        raise InferenceError(f"{which}: {'; '.join(curvature.doubts)}; identified=True leaves them out")
    factor = curvature.factor(kind)[known]
    return pd.DataFrame(factor @ factor.T, index=names[known], columns=names[known])


def conf_int(fit, level=0.95, kind="hessian"):
    """`FitResult.conf_int`."""
    import pandas as pd

    level, error, values = check_level(level), bse(fit, kind), params(fit)
    reach = -ndtri(0.5 * (1.0 - level)) * error
    status = statuses(fit.curvature, kind)[0]
    return pd.DataFrame({"low": values - reach, "high": values + reach, "status": status})


def criteria(fit):
    """AIC, BIC and ICL of a fit, a dict; see `FitResult`."""
    deviance = -2.0 * fit.log_likelihood
    bic = deviance + fit.df * log(fit.nobs)
    return {"aic": deviance + 2.0 * fit.df, "bic": bic, "icl": bic + 2.0 * fit.curvature.entropy}


@dataclass(frozen=True, repr=False)
class Summary:
    """What `FitResult.summary` returns: a table that prints, and `to_frame`.

    Attributes
    ----------
    facts : dict
        What stands above the table.
    rows : dict
        Name of a parameter -> coefficient, standard error, z, p-value, ends of its interval, status. Standard errors
        and what rests on them are None where there are none.
    notes : tuple of str
        The parametrisation; what is refused, and why.
    level : float
    title : str
    """

    facts: dict
    rows: dict
    notes: tuple
    level: float
    title: str = "HMoE maximum likelihood"

    @property
    def columns(self) -> list[str]:
        """Names of the columns, as statsmodels has them, and the status."""
        ends = f"[{0.5 * (1 - self.level):.4g}", f"{0.5 * (1 + self.level):.4g}]"
        return ["coef", "std err", "z", "P>|z|", *ends, "status"]

    def to_frame(self) -> Frame:
        """The table as a DataFrame, a row for each parameter; missing where there is no standard error."""
        import pandas as pd

        frame = pd.DataFrame.from_dict(self.rows, orient="index", columns=self.columns)
        return frame.astype(dict.fromkeys(self.columns[:-1], float))

    def __repr__(self):
        facts = [f"{name + ':':<16} {value:>16}" for name, value in self.facts.items()]
        half = (len(facts) + 1) // 2
        pairs = zip(facts[:half], [*facts[half:], ""][:half], strict=True)
        wide = max([9, *(len(visible(name)) for name in self.rows)])
        lines = [f"{name:{wide}}" + "".join(f"{c:>11}" for c in self.columns[:-1]) for name in ("",)]
        for name, (*numbers, status) in self.rows.items():
            cells = [f"{v:11.3f}" if k == 3 else f"{v:11.4g}" for k, v in enumerate(numbers) if v is not None]
            cells += [" " * 11 * (len(numbers) - len(cells))]
            lines.append(f"{visible(name):{wide}}" + "".join(cells) + ("" if status == ESTIMATED else f"  {status}"))
        rule = "=" * max(len(lines[0]), 72)
        head = [self.title.center(len(rule)).rstrip(), rule, *(f"{a}   {b}".rstrip() for a, b in pairs)]
        notes = [fill(visible(f"[{k}] {note}"), len(rule), subsequent_indent="    ", break_on_hyphens=False)
                 for k, note in enumerate(self.notes, 1)]  # fmt: skip
        return "\n".join([*head, rule, lines[0], "-" * len(rule), *(line.rstrip() for line in lines[1:]), rule, *notes])


def summary(fit, level=0.95, kind="hessian"):
    """`FitResult.summary`."""
    level, kind, why = check_level(level), check_kind(kind), refusal(fit)
    place, G = fit.curvature.coordinates, fit.measure
    facts = {
        "Response": visible(fit.y_name),
        "Gating": G.gating,
        "Experts": str(G.k2),
        "Status": fit.status,
        "Covariance": "none" if why else kind,
        "Observations": f"{fit.nobs:.12g}",
        "Log-likelihood": f"{fit.log_likelihood:.4f}",
        "Df": str(fit.df),
        "AIC, BIC": f"{fit.aic:.2f}, {fit.bic:.2f}",
        "ICL": f"{fit.icl:.2f}",
    }
    rows, none = {}, (None,) * 5
    if why:
        status = [place.held.get(name, "refused") for name in place.names]
        rows = {name: (v, *none, s) for name, v, s in zip(place.names, place.values.tolist(), status, strict=True)}
    else:
        table, error = conf_int(fit, level, kind), bse(fit, kind)
        for name, v, se, (low, high, s) in zip(place.names, place.values, error, table.to_numpy(), strict=True):
            z = float(v / se)
            numbers = (float(se), z, float(2.0 * ndtr(-abs(z))), low, high) if s == ESTIMATED else none
            rows[name] = (float(v), *numbers, s)
    how = "Gates are written relative to the last component of each, whose own parameters are 0 and left out"
    notes = [f"{how}; log_nu is the logarithm of an expert's variance."]
    notes += [f"No standard errors: {why}."] if why else [f"{said[0].upper()}{said[1:]}." for said in
                                                         fit.curvature.doubts]  # fmt: skip
    title = Summary.title
    if fit.penalty is not None:
        title = title.replace("maximum", "penalised maximum")
        value = f"penalised log-likelihood {fit.penalised_log_likelihood:.4f}"
        notes.insert(0, f"Penalty: {fit.penalty}; {value}, information and errors are of that.")
    if (G.laplace_scale != 1.0).any() and gates.has_scale(G.gating):
        scales = " ".join(f"{c:.4g}" for c in G.laplace_scale)
        chosen = "profiled, which errors do not know" if "profile" in fit.settings else "stated, not estimated"
        notes.insert(0, f"Laplace scale {scales} per unit of the covariates: {chosen}.")
    new = [text for text in fit.warnings if not any(text in note for note in notes)]
    return Summary(facts, rows, (*notes, *(f"Warning: {text}." for text in new)), level, title)


def compare(fits: Sequence[FitResult] | dict[str, FitResult]) -> Frame:
    """Fits of the same response beside each other.

    Parameters
    ----------
    fits : sequence of FitResult, or dict of name -> FitResult
        Fits of one y, with the same weights; gatings, shapes and covariates may differ.

    Returns
    -------
    pandas.DataFrame
        One row per fit: gating, k2, log_likelihood, df, aic, bic, icl, nobs, status. Smaller criteria are better; only
        fits with the status "converged" or "boundary" are maxima.

    Raises
    ------
    ValueError
        If there is no fit, one is no FitResult, or their responses or weights differ.
    """
    import pandas as pd

    from ..fitting.result import FitResult

    if isinstance(fits, FitResult):
        fits = [fits]
    named = fits if isinstance(fits, dict) else dict(enumerate(fits)) if isinstance(fits, list | tuple) else {}
    wanted = "fits must be a sequence or a dict of at least one FitResult"
    if not named:
        raise ValueError(f"{wanted}; got {shown(fits)}")
    for name, fit in named.items():
        if not isinstance(fit, FitResult):
            raise ValueError(f"{wanted}; got {shown(fit)} at {shown(name)}")
    seen = {name: fit.curvature.response for name, fit in named.items()}
    first = next(iter(seen))
    for name, response in seen.items():
        if response != seen[first]:
            raise ValueError(f"fits must be of one response with the same weights; got another at {shown(name)}")
    rows = [
        {"gating": fit.measure.gating, "k2": fit.measure.k2, "log_likelihood": fit.log_likelihood, "df": fit.df}
        | criteria(fit) | {"nobs": fit.nobs, "status": fit.status}
        for fit in named.values()
    ]  # fmt: skip
    return pd.DataFrame(rows, index=list(named))
