"""The words of results: what a quantity, a model, a rate and a verdict is called, wherever it is read.

The tables of the terminal, the page of a study, its report and the evidence take their words from here and from nowhere
else. What is read are rates: alpha, the error falling like n^(-alpha). What machines read (csv, JSON) are slopes of log
error on log n, -alpha; verdicts are the same words in both. The command line reads this file in its first line: nothing
heavy is imported before it is used.
"""

import difflib
import math
import re
import time

# -- verdicts ----------------------------------------------------------------------------------------------------------
# verdict -> its sign, wherever it is shown: how the measured alpha lies to the expected one
MARKS = {"consistent": "=", "inconclusive": "?", "faster": ">", "slower": "<", "": " "}
VERDICTS_MEAN = {
    "consistent": "the interval holds the expected rate and nothing that speaks against it",
    "inconclusive": "it holds that, and also 0 (no fall, no difference) or what the other form of theory expects",
    "faster": "all of it lies above the expected rate",
    "slower": "all of it lies below the expected rate",
}
OUTSIDE = ("faster", "slower")  # the interval does not hold what is expected


def verdict(word):
    """A verdict with its sign: ``"> faster"``; nothing where there is none."""
    return f"{MARKS[word]} {word}" if word in VERDICTS_MEAN else word


def signs():
    """The signs and their verdicts: ``"= consistent, ? inconclusive, ..."``."""
    return ", ".join(map(verdict, VERDICTS_MEAN))


def compared(word, form):
    """A verdict as part of a sentence: ``"faster than published"``."""
    joint = {"consistent": "with", "inconclusive": "against"}.get(word, "than")
    return f"{word} {joint} {form}"


# -- equivalence -------------------------------------------------------------------------------------------------------
MARGIN = 0.05  # rates nearer than this are called the same
AGREEMENTS = {  # word -> (its sign, what it means)
    "agrees": ("=", f"all of the interval lies within {MARGIN} of it"),
    "differs": ("!", f"the interval does not hold it, nor lies within {MARGIN} of it"),
    "undecided": ("?", "neither"),
    "kept": ("+", f"of a bound: all of the interval lies above it, less {MARGIN}"),
    "broken": ("-", "of a bound: all of the interval lies below it, and not all of it within that margin"),
    "": ("", ""),
}
AGREEMENTS_MEAN = "; ".join(f"{word}: {means}" for word, (_, means) in AGREEMENTS.items() if word)
AGREEMENT_SIGNS = (
    f"= within {MARGIN} of the limit, ! not; of a worst case: + not slower by {MARGIN}, - slower; ? undecided"
)
LIMITS = {  # what a rate is held against -> (how that is marked, what it means)
    "limit": ("", "the limit of this statistic, derived"),
    "bound": ("\u2265 ", "the exponent of the worst case: in the limit this statistic falls at least as fast"),
    "open": ("open, ", "an exponent that is not settled, or a parameter that is not identified; no verdict"),
    "": ("", ""),
}
LIMITS_MEAN = "; ".join(f"{word}: {means}" for word, (_, means) in LIMITS.items() if word)


AT_THESE_N_MEANS = (
    "The rate that the study named as expected has over the same sample sizes, with its standard error. The verdict is "
    "on the difference, whose interval has the errors of both."
)


def agreement(word, short=False):
    """A verdict of equivalence with its sign: ``"= agrees within 0.05"``, or shorter ``"= agrees"``."""
    mark, _ = AGREEMENTS[word]
    return f"{mark} {word}{f' within {MARGIN}' if word == 'agrees' and not short else ''}" if word else ""


def held(word, kind):
    """A verdict of equivalence as part of a sentence: ``"differs from its limit"``, ``"keeps the bound"``."""
    if kind == "bound":
        return {"kept": "keeps the bound", "broken": "breaks the bound"}.get(word, "undecided against the bound")
    return {"agrees": "agrees with its limit", "differs": "differs from its limit"}.get(word, "undecided on its limit")


def limit(alpha, kind):
    """What a rate is held against, and what that is: ``"1/4"``, ``"\u2265 1/8"``, ``"open, 1/4"``."""
    return f"{LIMITS[kind][0]}{fraction(alpha)}"


def against(word, alpha, kind):
    """The same with the sign of the verdict before it: ``"= 1/4"``, ``"+ \u2265 1/8"``."""
    return f"{AGREEMENTS[word][0]} {limit(alpha, kind)}".strip()


def at_these_n(alpha, error):
    """A rate expected at the sample sizes of a study, with its standard error: ``"0.35 \u00b1 0.01"``; ``"-"``."""
    return "-" if math.isnan(alpha) else f"{alpha:.2f} \u00b1 {error:.2f}"


# -- rates -------------------------------------------------------------------------------------------------------------
def fraction(rate):
    """A rate of theory, as `hmoe_stats.names.fraction` writes it."""
    from hmoe_stats import names

    return names.fraction(rate)


def rate(slope, low, high):
    """The alpha of a slope, or of a difference of slopes, with its interval: ``"0.26 [0.21, 0.31]"``."""
    from hmoe_stats import names

    return names.interval(-slope, -high, -low)


def signed(rate):
    """An expected difference of rates: ``"+1/12"``, ``"0"``."""
    rate = 0.0 if abs(rate) < 1e-6 else rate
    return ("+" if rate > 0 else "") + fraction(rate)


def beside(word, alpha):
    """An expected alpha with the sign of its verdict before it: ``"> 1/8"``."""
    return f"{MARKS[word]} {fraction(alpha)}".strip()


# what a path of measures proves, beside a derived exponent -> as part of a sentence
PROVED = {
    "attained": "certified from one side",
    "exceeded": "certified kappa exceeds derived",
    "short of": "certified kappa short of derived",
    "unidentified": "certified",
    "": "no certificate",
}


def certificate(alpha, status):
    """The alpha of a certificate, or why there is none: ``"0.250"``."""
    return status if math.isnan(alpha) else f"{alpha:.3f}" if alpha else "0"


# -- quantities --------------------------------------------------------------------------------------------------------
WHOLE = {"loss_sharp": "Voronoi loss", "loss_published": "published Voronoi loss", "hellinger": "Hellinger distance"}
WHOLE |= {"routing": "routing probabilities"}
FUNCTIONS = {"expert": "expert function over the cell", "expert_worst": "worst expert function of the cell"}
FUNCTIONS |= {"cell_mean": "mean function of the cell"}
GATES = {1: "gate function of the group", 2: "gate function of the cell"}  # by level
WEIGHTS = {1: "weight of the group", 2: "weight of the cell in its group"}
MEMBERS = {1: "group", 2: "expert"}

QUANTITIES_MEAN = (
    "What the error is of; m is the size of the Voronoi cell, the number of fitted groups or experts that share the "
    "true one: 1 is an exact cell, 2 and more an over-specified one. a and b are slope (or centre) and intercept of "
    "the level-1 gate, omega and beta those of the level-2 gate, eta and tau slope and intercept of an expert's mean, "
    "nu its variance. Of each expert (group): its distance to the true one of its cell, averaged over the cell with "
    "the experts' weights. Mean over the cell: distance of the cell's weighted mean. Weight: error of the cell's total "
    "weight, at level 2 within its group. The Voronoi loss has the derived exponents, the published one the published "
    "ones; the Hellinger distance is one of densities. Functions of x do not depend on how a density is written: root "
    "mean square error of the expert function over a cell, of its worst expert, and of the cell's mean function; mean "
    "absolute error of the gate function; routing probabilities, of a sample to each cell, in total variation."
)


def quantity(level, size, parameter, kind):
    """A measured quantity in words: ``"mean of eta over the cell, m = 2"``.

    Parameters
    ----------
    level, size : int
        Of the Voronoi cell: groups (1), experts (2) or the whole measure (0); fitted members.
    parameter, kind : str
        As `hmoe_stats.parameter_errors` and `hmoe_stats.functional_errors` have them, or of a loss or a distance.
    """
    return name(level, parameter, kind) + (f", m = {size}" if level else "")


def name(level, parameter, kind):
    """What `quantity` says before the size of the cell."""
    if parameter in WHOLE or parameter in FUNCTIONS:
        return (WHOLE | FUNCTIONS)[parameter]
    if parameter == "gate":
        return GATES[level]
    if kind == "mass":
        return WEIGHTS[level]
    if kind == "barycentre":
        return f"mean of {parameter} over the cell"
    return f"{parameter} of each {MEMBERS[level]}" if kind == "weighted" else f"{parameter} {kind}".strip()


_SLOPES = [(1, "a"), *((2, parameter) for parameter in ("omega", "eta", "tau", "nu"))]
_MEASURED = [(0, "loss_sharp", "loss"), (0, "loss_published", "loss"), (0, "hellinger", "divergence")]
_MEASURED += [(0, "routing", "function"), (1, "b", "mass"), (2, "beta", "mass"), (1, "gate", "function")]
_MEASURED += [(level, parameter, kind) for level, parameter in _SLOPES for kind in ("weighted", "barycentre")]
_MEASURED += [(2, parameter, "function") for parameter in ("gate", *FUNCTIONS)]
# what `name` gives of all that is measured -> (level, parameter, kind)
NAMED = {name(*measured): measured for measured in _MEASURED}


def named(text):
    """The (level, size, parameter, kind) that `quantity` writes as `text`.

    Raises
    ------
    ValueError
        If there is none; it says what was expected, and what comes close.
    """
    found = re.fullmatch(r"(.*?)(?:, m = ([1-9][0-9]{,2}))?", text)
    if found and found[1] in NAMED:
        level, parameter, kind = NAMED[found[1]]
        if bool(level) == bool(found[2]):
            return level, int(found[2] or 0), parameter, kind
    head, _, size = text.partition(", m = ")
    close = difflib.get_close_matches(head, NAMED, n=1) or ["tau of each expert"]
    level, parameter, kind = NAMED[close[0]]
    raise ValueError(f"a quantity as tables name it, such as {quantity(level, size or 2, parameter, kind)[:80]!r}")


# -- models ------------------------------------------------------------------------------------------------------------
def model(gating, k2):
    """A fitted model in words: ``"SS, fitted k2 = 3,3"``."""
    return f"{gating}, fitted k2 = {k2}"


def counts(failed, bounded, uncertified, to_do):
    """What became of a model's fits, in words."""
    return f"{failed} fits failed, {uncertified} without an optimum left out, {bounded} on a bound, {to_do} to do"


def sizes(low, high):
    """A range of sample sizes: ``"1,000 to 100,000"``."""
    return f"{low:,.0f} to {high:,.0f}"


def duration(seconds, jobs):
    """A time that so many processes take: ``"about 0:12:30 with 2 jobs"``; None if nothing was timed."""
    if seconds is None:
        return "not known yet"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {hours}:{minutes:02d}:{seconds:02d} with {jobs} job{'s' if jobs > 1 else ''}"


# -- how fits ended ----------------------------------------------------------------------------------------------------
STATUSES = {  # of cells -> (what heads a column of them, what it means)
    "converged": ("converged", "Fits that reached an optimum inside the box."),
    "boundary": ("bounded", "Fits whose optimum lies on a bound of the box; used."),
    "max_iter": ("no optimum", "Fits that ended without the conditions of an optimum; left out of all rates."),
    "degenerate": ("degenerate", "Fits that are no estimate; left out of all rates."),
    "failed": ("failed", "Cells that raised an error; left out."),
    "to_do": ("to do", "Cells without a result."),
}
BOUNDS_MEAN = (
    "Fits on this bound of the box, whatever their status; each once, however many of its groups or experts lie there."
)
FLOOR_MEANS = "The variance floor, on which spikes end, experts on a handful of rows."
GAIN_MEANS = (
    "Twice the log-likelihood of the fit less that of the truth: the mean of fits that reached an optimum, and its "
    "standard error. It has a limit; where it falls as n grows, the search for the optimum comes short."
)
ENDED = "how fits ended: cells by status, fits on each bound of the box, and mean gain over the truth"


def bound(name):
    """A bound of the box: ``"nu low"`` for ``"nu_low"``."""
    return "gate separates" if name == "separated" else name.replace("_", " ")


def bound_means(name):
    """What a count of fits on a bound is."""
    return f"{FLOOR_MEANS} {BOUNDS_MEAN}" if name == "nu_low" else BOUNDS_MEAN


def gain(mean, error):
    """A mean gain with its standard error: ``"21.6 (0.2)"``."""
    return "-" if math.isnan(mean) else f"{mean:.1f}" if math.isnan(error) else f"{mean:.1f} ({error:.1f})"


def by_size(what, sizes, shares):
    """Shares of fits by n: ``"on the variance floor at n = 1,000 to 100,000: SS .82 .15 0"``.

    Parameters
    ----------
    what : str
        ``"nu_low"``, another bound, or ``"max_iter"``.
    sizes : list of int
    shares : dict
        Name of a model -> its share at each of the sizes.
    """
    said = "on the variance floor" if what == "nu_low" else "without an optimum" if what == "max_iter" else bound(what)
    models = (f"{model} {' '.join(map(_share, values))}" for model, values in shares.items())
    return f"share of fits {said}, n = {', '.join(map(_short, sizes))}: {'; '.join(models)}"


def _share(value):
    return "-" if math.isnan(value) else f"{value:.2f}".removeprefix("0") if 0 < value < 1 else f"{value:.0f}"


def _short(n):
    return f"{n:.3g}".replace("e+0", "e").replace("e+", "e") if n >= 10**5 else str(n)


# -- what was declared -------------------------------------------------------------------------------------------------
NOT_DECLARED = "declared: not on record"
PROTOCOL_DAMAGED = "declared: the record of it is damaged"
UNCHANGED = "not changed since"


def declared(when, cells):
    """When a study was declared, a Unix time, and how many cells there were then."""
    date = time.strftime("%Y-%m-%d", time.gmtime(when))
    return f"declared on {date}, with {cells} cells there" if cells else f"declared before the first fit, on {date}"


def changed(what, looks, cells):
    """A later declaration: ``"replicates 20 -> 40 after 2 looks, the last at 560 cells"``."""
    times = f"{looks} looks, the last at {cells} cells" if looks > 1 else f"1 look, at {cells} cells"
    return f"{what} {f'after {times}' if looks else 'before any look'}"


def apart(replicates):
    """What tables and figures show of a study that grew after a look."""
    return f"shown are the {replicates} replicates declared before any look, with those added later apart"


def undeclared(what):
    """A change that no run has seen."""
    return f"{what}, not yet declared by a run"


PARTS_MEAN = (
    "declared: the replicates that were declared before anybody looked at results; added: those that came after, by "
    "themselves."
)
ADDED = "replicates added after a look, by themselves"


# -- primary quantities ------------------------------------------------------------------------------------------------
ROLES_MEAN = (
    "primary: named in the study, in its first statistic; all these intervals hold together at 95 % (Bonferroni over "
    "primary quantities and models). exploratory: all else, each interval at 95 % by itself."
)


def held_together(count):
    """How the intervals of primary quantities are to be read, where there are `count`."""
    each = f"{100 - 5 / count:.4g} %"
    return f"* primary: its {count} intervals hold together at 95 % (each is one at {each}); all else is exploratory"


# -- pages -------------------------------------------------------------------------------------------------------------
def more_panels(count, name):
    """What the page of a study has left out."""
    return f"not shown: {count} more panel{'s' if count > 1 else ''}, which hmoe plot {name} --all draws"
