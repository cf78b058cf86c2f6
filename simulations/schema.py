"""The tables of a study file below the study itself, as pydantic checks them: covariates, sizes, box, fit, measures."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator


def distinct(values):
    doubles = [v for i, v in enumerate(values) if v in values[:i]]
    if doubles:
        raise ValueError(f"distinct entries ({doubles[0]!r} is there twice)")
    return values


def _bound(value):
    """A positive number B, for [-B, B], or a pair [low, high]."""
    pair = value if isinstance(value, list) else [0, value]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < float("inf") for v in pair)
    if len(pair) != 2 or not numbers or not pair[0] < pair[1]:
        raise ValueError("a positive number B, for [-B, B], or a pair [low, high] with low < high")
    return [float(v) for v in pair] if isinstance(value, list) else float(value)


def _variance_bound(value):
    if not isinstance(value, list) or not value[0] > 0:
        raise ValueError("a pair [low, high] with 0 < low < high (nu is a variance)")
    return value


Bound = Annotated[float | list[float], BeforeValidator(_bound)]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class UniformX(Table):
    """Uniform covariates on [low, high]."""

    law: Literal["uniform"]
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self):
        if not self.low < self.high:
            raise ValueError("low < high")
        return self


class NormalX(Table):
    """Normal covariates with mean loc and standard deviation scale."""

    law: Literal["normal"]
    loc: float = 0.0
    scale: Annotated[float, Field(gt=0)] = 1.0


class SizeRange(Table):
    """Sample sizes spaced evenly on a log scale and rounded."""

    low: Annotated[int, Field(ge=2)]
    high: Annotated[int, Field(ge=2)]
    count: Annotated[int, Field(ge=1)]

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


class FitOptions(Table):
    """How each cell is fitted; what is left out has the fit's own default."""

    start: Literal["truth", "data"] = "truth"
    local: bool = False
    n_starts: Annotated[int, Field(ge=1)] | None = None
    tol: Annotated[float, Field(gt=0)] | None = None
    max_iter: Annotated[int, Field(ge=1)] | None = None
    bounds: Bounds = Bounds()

    @model_validator(mode="after")
    def _local_to_something(self):
        if self.local and self.start == "data":
            raise ValueError('local = true needs start = "truth"')
        return self

    def keywords(self):
        """Keyword arguments for `hmoe_stats.fit_mle`, without `start`."""
        given = self.model_dump(exclude={"start"}, exclude_none=True)
        return {key: value for key, value in given.items() if value != {}}


class Measures(Table):
    """What is measured besides parameter errors and losses."""

    hellinger: bool = False


def _kind_of_sizes(value):
    return "table" if isinstance(value, dict | SizeRange) else "list"


Sizes = Annotated[
    Annotated[Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1), AfterValidator(distinct)], Tag("list")]
    | Annotated[SizeRange, Tag("table")],
    Discriminator(_kind_of_sizes),
]
Fitted = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
