"""Three routes to each exponent side by side: derived, certified without data, measured by Monte Carlo.

One row is one error (parameter, cell, gating) of a study. Its numbers are read from tables, never recomputed, and each
names the line it came from: slopes, verdicts and theory's rates from ``<study>/slopes.csv``, certificates from
``certificates.csv``. A certificate's exponent kappa stands for the rate n^(-alpha), alpha = 1 / (2 kappa); it is that
of a path of measures, and bounds kappa from below, alpha from above. The other side rests on the derivation.
"""

import numpy as np
import pandas as pd

from . import UserError, certificates, words
from .expected import FORMS, Expected
from .files import read_csv, with_words
from .study import load_simulation, shipped_studies, sizes_of
from .summary import QUANTITY

TOLERANCE = 0.06  # in kappa; local slopes of a certificate's clean range agree to this
MODEL = ["study", "study_file", "truth", "gating", "k2"]
THEORY = [form + end for form in FORMS for end in ("", "_status", "_source")]
CERTIFICATE = ["kappa", "kappa_error", "certificate", "certificate_status", "certificate_says"]
CERTIFICATE += ["certificate_proves", "certificate_line"]
SLOPE = ["slope", "ci_low", "ci_high", "n_low", "n_high", "replicates", "verdict_published", "verdict_derived"]
LIMIT = ["alpha_limit", "limit", "verdict_limit", "alpha_at_n", "error_at_n", "verdict_at_n"]  # not in older tables
MEDIAN = {"median": "slope", "median_low": "ci_low", "median_high": "ci_high", "median_line": "line"}
COLUMNS = [*MODEL, *QUANTITY, "regime", *THEORY, *CERTIFICATE, "statistic", *SLOPE, *LIMIT, *MEDIAN]
COLUMNS += ["slopes_table", "slopes_line", "verdict", "drawn"]
NEEDED = {"study", "gating", "k2", *QUANTITY, "statistic", *SLOPE, "alpha_published", "alpha_derived"}
FIRST = ("exact", "over-by-one", "over-by-two", "unidentified", "level-one", "plane")  # the order of a report
DRAWN = {("a", "weighted"), ("omega", "weighted"), ("eta", "weighted"), ("eta", "barycentre")}
DRAWN |= {("tau", "weighted"), ("nu", "weighted")}


def table(sources, folder):
    """Join slopes, theory and certificates.

    Parameters
    ----------
    sources : sequence of str or Path
        Studies, as `load_study` takes them.
    folder : Path
        Of the tables ``<study>/slopes.csv``, and of ``certificates.csv``, which may be missing.

    Returns
    -------
    DataFrame
        One row for each error of which theory, published or derived, gives the rate:

        - study, study_file, truth, gating, k2, level, size (experts or groups in the cell), parameter, kind, regime;
        - published, derived (alpha), each with the status and source that `theory.rates` gives it; ``"stale"`` where
          `theory.rates` has no such rate;
        - kappa, kappa_error: of the certificate; of the two that bound the error of a split cell (spread and
          barycentre) the larger kappa; inf where the parameter was found not to be identified. certificate: alpha;
          certificate_status; certificate_says: ``"agrees"`` with the derived kappa to within the larger of 0.06 and
          two errors, or ``"differs"``; certificate_proves: ``"attained"``, kappa is no smaller than derived, as a path
          of measures has that exponent; ``"exceeded"``, kappa is larger than derived; ``"short of"``, the path has a
          smaller one than derived, which says nothing against it; ``"unidentified"``. That kappa is no larger, a path
          does not show.
          certificate_line: its line in certificates.csv, the header being line 1.
          Barycentres of certificates have the gate weights at the mean of x, measured ones expected weights: where
          Laplace gates of a cell are not identified, or are averaged under a softmax gate, exponents may differ;
        - statistic (the first that the study declares), slope, ci_low, ci_high, n_low, n_high, replicates,
          verdict_published, verdict_derived; alpha_limit, limit, verdict_limit, alpha_at_n, error_at_n, verdict_at_n,
          as `summary.Summary.slopes` has them, empty of tables that have none; the slope of the median as median,
          median_low, median_high; slopes_table, slopes_line, median_line: where they stand;
        - verdict: all this in words; drawn: whether the figure has the row.

    Raises
    ------
    UserError
        If a study or its table of slopes is missing, or a table lacks a column.
    """
    found = certificates.read(folder / "certificates.csv")
    rows = [row for source in sources for row in _rows(source, folder, found)]
    joined = pd.DataFrame(rows, columns=[*COLUMNS, "model", "exact"])
    lines = {name: joined[name].astype("Int64") for name in ("certificate_line", "median_line")}  # not everywhere
    return joined.assign(drawn=_drawn(joined), **lines)[COLUMNS]


def measured(folder):
    """(shipped studies that have a table of slopes in `folder`, other names that have one).

    Those of another estimator are left out: exponents are of maximum-likelihood estimates.
    """
    names, shipped = {file.parent.name for file in folder.glob("*/slopes.csv")}, shipped_studies()
    here = [*(name for name in FIRST if name in names), *sorted(names.intersection(shipped).difference(FIRST))]
    return [name for name in here if load_simulation(name).fit.estimator == "mle"], sorted(names.difference(shipped))


def _rows(source, folder, found):
    study = load_simulation(source)
    name = f"{study.name}/slopes.csv"
    file = f"simulations/studies/{source}.toml" if str(source) in shipped_studies() else str(source)
    truth = study.truth if isinstance(study.truth, str) else "its own"
    for (gating, k2), errors in _slopes(source, study, folder / name).items():
        G0, fitted = study.measure(gating), sizes_of(k2)
        expected = Expected(study, gating, fitted)
        certified = _of_shape(found, certificates.shape(study, gating, certificates.certified_size(G0.k2, fitted)))
        model = dict(zip(MODEL, (study.name, file, truth, gating, k2), strict=True))
        model |= {"model": f"{G0.to_dict()} {k2}", "exact": sorted(fitted) == sorted(G0.k2)}
        for quantity, lines in errors.items():
            if (first := lines.get(study.statistics[0])) is None:
                raise UserError(f"{folder / name}: no row of the statistic {study.statistics[0]}, the first of {file}")
            if np.isnan(first["alpha_published"]) and np.isnan(first["alpha_derived"]):
                continue
            row = model | dict(zip(QUANTITY, quantity, strict=True))
            for form in FORMS:
                row |= _theory(form, first[f"alpha_{form}"], expected.rows(form, quantity))
            row |= _certificate(row, certified) if G0.d == 1 else {"certificate_status": "not computed: d = 1 only"}
            row |= {"statistic": study.statistics[0], **{name: first[name] for name in (*SLOPE, *LIMIT)}}
            row |= {new: lines["median"][old] for new, old in MEDIAN.items() if "median" in lines}
            yield row | {"slopes_table": name, "slopes_line": first["line"], "verdict": verdict(row)}


def _slopes(source, study, file):
    """A study's table of slopes: model -> error -> statistic -> its row, as a dict that knows its line."""
    if not file.exists():
        raise UserError(f"{file}: no such table of slopes; hmoe plot {source} makes it")
    slopes = read_csv(file)
    if missing := sorted(NEEDED - set(slopes.columns)):
        raise UserError(f"{file}: expected the table of slopes of hmoe plot; it lacks {', '.join(missing)}")
    slopes = slopes.assign(line=slopes.index + 2)
    slopes = slopes.reindex(columns=[*slopes, *(name for name in LIMIT if name not in slopes)])
    slopes = with_words(slopes)
    slopes = slopes[slopes["part"] != "added"] if "part" in slopes else slopes
    models = {}
    for row in slopes[slopes["study"] == study.name].to_dict("records"):
        errors = models.setdefault((row["gating"], row["k2"]), {})
        errors.setdefault(tuple(row[name] for name in QUANTITY), {})[row["statistic"]] = row
    return models


# -- theory and certificates ------------------------------------------------------------------------------------------
def _theory(form, alpha, rates):
    """A rate of the table of slopes, with status and source of the row of `theory.rates` that it is."""
    if np.isnan(alpha):
        return {}
    for row in (row for row in rates if np.isclose(row.alpha, alpha)):
        said = {form: alpha, f"{form}_status": row.status, f"{form}_source": row.source}
        return said | ({"regime": row.regime} if form == "derived" else {})
    return {form: alpha, f"{form}_status": "stale"}


def _of_shape(found, shape):
    """The certificates of one shape: (level, m, parameter, regime, kind) -> row, as a dict that knows its line."""
    rows = found[(found[certificates.SHAPE] == shape).all(axis=1)]
    rows = rows.assign(line=rows.index + 2, exponent=rows["exponent"].mask(rows["status"] == "vacuous", np.inf))
    names = ["level", "m", "parameter", "regime", "kind"]
    return {tuple(row[name] for name in names): row for row in rows.to_dict("records")}


def _certificate(row, certified):
    """The certificate of an error; that of the barycentre stands for a spread's if it has the larger kappa."""
    cell = (row["level"], row["size"], row["parameter"], row.get("regime"))
    split = row["size"] > 1 and row["kind"] == "weighted"
    best = certified.get((*cell, "spread" if split else row["kind"]))
    if best is None:
        return {"certificate_status": "none"}
    other = certified.get((*cell, "barycentre")) if split else None
    if other and other["exponent"] > best["exponent"]:
        best = other
    kappa, error = best["exponent"], best["exponent_error"]
    out = {"kappa": kappa, "kappa_error": error, "certificate": 0.5 / kappa, "certificate_line": best["line"]}
    said = says(kappa, error, row.get("derived", np.nan))
    proved = proves(kappa, error, row.get("derived", np.nan))
    return out | {"certificate_status": best["status"], "certificate_says": said, "certificate_proves": proved}


def says(kappa, error, derived):
    """Whether a certificate "agrees" with a derived alpha or "differs"; "" where one of them is missing."""
    if np.isnan(derived) or np.isnan(kappa):
        return ""
    expected = 0.5 / derived if derived else np.inf
    if np.isinf(kappa) or np.isinf(expected):
        return "agrees" if kappa == expected else "differs"
    return "agrees" if abs(kappa - expected) <= max(TOLERANCE, 2 * error) else "differs"


def proves(kappa, error, derived):
    """What a path with exponent `kappa` proves beside a derived alpha: one of `words.PROVED`; "" as `says`.

    It bounds the exponent of its error from below, and nothing else: others may come nearer to the truth.
    """
    said = says(kappa, error, derived)
    if not said or np.isinf(kappa):
        return "unidentified" if said else ""
    expected = 0.5 / derived if derived else np.inf
    return "attained" if said == "agrees" else "exceeded" if kappa > expected else "short of"


# -- words and choice -------------------------------------------------------------------------------------------------
def verdict(row):
    """What a row of the table says, in words."""
    said = []
    if np.isnan(row["slope"]):
        said.append("not measured")
    elif row.get("verdict_limit"):
        said.append(words.held(row["verdict_limit"], row["limit"]))
    elif row.get("limit") == "open" and row["derived"] > 0:
        said.append("limit open")
    elif row["verdict_derived"]:  # of parameters that are not identified, and of tables from before there were limits
        said.append(words.compared(row["verdict_derived"], "derived"))
    published = row.get("published", np.nan)
    if row["verdict_published"] and not np.isclose(published, row.get("derived", np.nan)):
        said.append(words.compared(row["verdict_published"], "published"))
    said.append(words.PROVED[row.get("certificate_proves") or ""])
    return "; ".join(said)


def _drawn(rows):
    """Rows of the figure, of a frame that has `model` (truth and fitted size) and `exact` besides the columns.

    The loss of exact fits, and errors in the largest cells of over-specified ones. Of an error measured by several
    studies, the one that went to the largest n; SL and LS only where derived rates differ between gatings.
    """
    drawn = rows["exact"] & (rows["parameter"] == "loss_sharp")
    seen = rows["slope"].notna()
    for _, level in rows[~rows["exact"] & (rows["level"] > 0)].groupby(["study", "k2", "level"]):
        largest = level.loc[seen[level.index], "size"].max()
        chosen = level[(level["size"] == largest) & (level["size"] > 1)] if seen[level.index].any() else level[:0]
        for quantity, part in chosen.groupby(QUANTITY):
            alike = part["derived"].nunique() < 2 and part["gating"].isin(["SS", "LL"]).any()
            part = part[part["gating"].isin(["SS", "LL"])] if alike else part
            drawn[part.index] = quantity[2:] in DRAWN
    shown = rows[drawn].sort_values(["n_high", "replicates"], ascending=False, kind="stable")
    return rows.index.isin(shown[seen[shown.index]].drop_duplicates(["model", *QUANTITY]).index)
