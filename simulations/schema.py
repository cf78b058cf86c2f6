"""The tables of a study file below the study itself, and how large what is in them may be, as pydantic checks them.

The limits are far above any study that ends: they keep a slip of the keyboard from filling the memory, and every number
within what samples, fits and SQLite can hold.
"""

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

# written again: to list studies, the library need not be loaded
GATINGS = ("SS", "SL", "LS", "LL", "SQ", "LQ", "QS", "QL", "QQ")
CELLS = 10**6  # of a study
ENTRIES = 1000  # of a list
EXPERTS = 100  # of a model
ROWS = 10**15  # of a sample
LARGEST = 1e50  # of real numbers, that of `hmoe_stats.measure`


def distinct(values):
    doubles = [v for i, v in enumerate(values) if v in values[:i]]
    if doubles:
        raise ValueError(f"distinct entries ({doubles[0]!r} is there twice)")
    return values


def _short(values):
    """Refused before the entries are looked at, one by one or against each other."""
    if isinstance(values, list) and len(values) > ENTRIES:
        raise ValueError(f"at most {ENTRIES} entries")
    return values


def _few_experts(sizes):
    if sum(sizes) > EXPERTS:
        raise ValueError(f"at most {EXPERTS} experts in all groups")
    return sizes


def _file_name(name):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{,99}", name):
        raise ValueError("a name for files, of 1 to 100 letters, digits and _.-, the first a letter or digit")
    return name


def _statistic(name):
    if not re.fullmatch(r"mean|median|q(0[1-9]|[1-9][0-9])", name):
        raise ValueError("'mean', 'median' or a quantile, 'q01' to 'q99'")
    return name


def _quantity(text):
    from .words import named

    named(text)
    return text


def _bound(value):
    """A positive number B, for [-B, B], or a pair [low, high]; low = high holds the parameter there."""
    pair = value if isinstance(value, list) else [0, value]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= LARGEST for v in pair)
    if len(pair) != 2 or not numbers or not pair[0] <= pair[1] or value == 0:
        size = f"of at most {LARGEST:g} in size"
        raise ValueError(f"a positive number B {size}, for [-B, B], or a pair [low, high] of such with low <= high")
    return [float(v) for v in pair] if isinstance(value, list) else float(value)


def _variance_bound(value):
    if not isinstance(value, list) or not value[0] > 0:
        raise ValueError("a pair [low, high] with 0 < low <= high (nu is a variance)")
    return value


def _scale(value):
    """A pair [c, p], for c n^(-p)."""
    numbers = isinstance(value, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    if not numbers or len(value) != 2 or not 0 <= value[0] <= LARGEST or not 0 <= value[1] <= 1:
        raise ValueError(f"a pair [c, p], for c n^(-p), of 0 <= c <= {LARGEST:g} and 0 <= p <= 1")
    return [float(v) for v in value]


Name = Annotated[str, AfterValidator(_file_name)]
Statistic = Annotated[str, AfterValidator(_statistic)]
Quantity = Annotated[str, AfterValidator(_quantity)]
Real = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Bound = Annotated[float | list[float], BeforeValidator(_bound)]
Scale = Annotated[list[float], BeforeValidator(_scale)]
Rows = Annotated[int, Field(ge=2, le=ROWS)]
SHORT = BeforeValidator(_short)
Fitted = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1), SHORT, AfterValidator(_few_experts)]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, str_max_length=500)

    def model_copy(self, **changes):
        """As pydantic has it, but for what was made of the old values and kept: it is made again."""
        copy = super().model_copy(**changes)
        for kind in type(self).__mro__:
            for name, value in vars(kind).items():
                if isinstance(value, cached_property):
                    copy.__dict__.pop(name, None)
        return copy


class UniformX(Table):
    """Uniform covariates on [low, high]."""

    law: Literal["uniform"]
    low: Real
    high: Real

    @model_validator(mode="after")
    def _ordered(self):
        if not self.low < self.high:
            raise ValueError("low < high")
        return self


class GridX(UniformX):
    """Equally spaced covariates from low to high, the same in every sample of n rows."""

    law: Literal["grid"]


class NormalX(Table):
    """Normal covariates with mean loc and standard deviation scale."""

    law: Literal["normal"]
    loc: Real = 0.0
    scale: Annotated[Real, Field(gt=0)] = 1.0


class SizeRange(Table):
    """Sample sizes spaced evenly on a log scale and rounded."""

    low: Rows
    high: Rows
    count: Annotated[int, Field(ge=1, le=ENTRIES)]

    @model_validator(mode="after")
    def _ordered(self):
        if self.count > 1 and not self.high - self.low >= self.count - 1 or self.low > self.high:
            raise ValueError("low < high, far enough apart for `count` distinct sizes")
        return self

    def sizes(self):
        """The sizes as a sorted list of distinct integers."""
        ratio = (self.high / self.low) ** (1 / max(1, self.count - 1))
        return sorted({round(self.low * ratio**i) for i in range(self.count)})


class Bounds(Table):
    """The box of the fit; a parameter left out has the fit's own."""

    a: Bound | None = None
    b: Bound | None = None
    omega: Bound | None = None
    beta: Bound | None = None
    eta: Bound | None = None
    tau: Bound | None = None
    nu: Annotated[Bound, AfterValidator(_variance_bound)] | None = None


class Jitter(Table):
    """Standard deviations, [c, p] for c n^(-p), of what moves the parameters of a start; one left out stays."""

    a: Scale | None = None
    b: Scale | None = None
    omega: Scale | None = None
    beta: Scale | None = None
    eta: Scale | None = None
    tau: Scale | None = None
    nu: Scale | None = None

    def sizes(self, n):
        """Parameter -> standard deviation at n rows."""
        return {name: c * n**-p for name, (c, p) in self.model_dump(exclude_none=True).items()}


class FitOptions(Table):
    """How each cell is fitted; what is left out has the fit's own default.

    ``estimator = "em"`` is the best of `n_starts` runs of EM from about the truth, moved by `jitter`; each ends where
    an iteration raises the mean log-likelihood by less than `tol`, or after `max_iter`. See `simulations.estimators`.
    """

    estimator: Literal["mle", "em"] = "mle"
    start: Literal["truth", "data"] = "truth"
    local: bool = False
    n_starts: Annotated[int, Field(ge=1, le=10**4)] | None = None
    tol: Annotated[float, Field(gt=0)] | None = None
    max_iter: Annotated[int, Field(ge=1, le=10**6)] | None = None
    bounds: Bounds = Bounds()
    jitter: Jitter | None = None

    @model_validator(mode="after")
    def _em_from_about_the_truth(self):
        if (self.estimator == "em") != (self.jitter is not None):
            raise ValueError('fit.jitter with estimator = "em", which starts about the truth, and with no other')
        if self.estimator == "em" and (self.local or self.start == "data"):
            raise ValueError('neither local = true nor start = "data", as estimator = "em"')
        return self

    @model_validator(mode="after")
    def _local_to_something(self):
        if self.local and self.start == "data":
            raise ValueError('local = true needs start = "truth"')
        return self

    def keywords(self):
        """Keyword arguments for `hmoe_stats.fit_mle`, without `start`."""
        given = self.model_dump(exclude={"estimator", "start"}, exclude_none=True)
        return {key: value for key, value in given.items() if value != {}}


class Measures(Table):
    """Which of the dearer measures of `simulations.measures` are taken, by name; no fit depends on it."""

    hellinger: bool = False
    functional: bool = True


# pydantic puts the tag of a branch into the path of an error, where `study` takes it out again
def _tagged(first, second, is_second):
    """Either type, told apart by `is_second`, so that an error is one line and not one for each type."""
    choose = Discriminator(lambda value: "second" if is_second(value) else "first")
    return Annotated[Annotated[first, Tag("first")] | Annotated[second, Tag("second")], choose]


Numbers = Annotated[list[Real], SHORT]
Vector = Annotated[list[_tagged(Real, Numbers, lambda value: isinstance(value, list))], SHORT]
Sizes = _tagged(
    Annotated[list[Rows], Field(min_length=1), SHORT, AfterValidator(distinct)],
    SizeRange,
    lambda value: isinstance(value, dict | SizeRange),
)


class TruthTable(Table):
    """A truth written out, as `MixingMeasure.to_dict` gives it; whether its shapes fit, the measure says itself."""

    gating: Literal[GATINGS]
    k2: Fitted
    a: Vector
    b: Numbers
    omega: Vector
    beta: Numbers
    eta: Vector
    tau: Numbers
    nu: Numbers


class RandomTruths(Table):
    """A random truth for each replicate: `hmoe_stats.datasets.random_truth`, which says whether a separation is one."""

    separation: Annotated[list[Real], Field(min_length=2, max_length=2)]


def _as_written(value):
    """Checked, but kept as it is: its hash is that of what was written."""
    if not isinstance(value, dict):
        raise ValueError("the name of a truth, or a table with the parameters of one, or with a separation")
    (RandomTruths if "separation" in value else TruthTable).model_validate(value)
    return value


Truth = _tagged(str, Annotated[dict, BeforeValidator(_as_written)], lambda value: not isinstance(value, str))
