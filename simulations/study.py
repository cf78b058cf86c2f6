"""Studies: what is simulated, written in TOML, checked by pydantic, hashed, and cut into cells.

A cell is (study hash, gating, fitted k2, n, replicate). The hash covers what changes the numbers of a cell: truth,
covariate law, seed, fitting options, measures. It leaves out the name, the title, the statistics of the tables, the
studies shown beside it, and the lists that only say which cells exist (gatings, k2, n, replicates): a study that grows
keeps the cells it has.
"""

import difflib
import hashlib
import importlib.resources
import json
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from . import UserError
from .schema import Bounds, FitOptions, Fitted, Measures, NormalX, SizeRange, Sizes, Table, UniformX, distinct

GATINGS = ("SS", "SL", "LS", "LL")  # written again: to list studies, the library need not be loaded
DATA_STREAM, FIT_STREAM = 1, 2


def text_of(k2):
    """``"3,3"`` for (3, 3)."""
    return ",".join(map(str, k2))


def sizes_of(k2):
    """(3, 3) for ``"3,3"``; a `ValueError` where the text is none of whole numbers."""
    return tuple(int(m) for m in k2.split(","))


class StudyError(UserError):
    """A study that cannot be used; the message has one line a problem."""


class Cell(NamedTuple):
    """One fit of a study: its key within the study."""

    gating: str
    k2: tuple
    n: int
    replicate: int

    @property
    def key(self):
        """The cell as tables write it, k2 as text: ``("SS", "3,3", 1000, 0)``."""
        return self.gating, text_of(self.k2), self.n, self.replicate

    @property
    def cost(self):
        """Rough relative cost of the fit, (n + 2000) K^3.

        Rows, times the parameters squared, times iterations; small samples take more iterations, and what does not
        depend on n is the rest. Over-specified models of 6 and 10 experts take 0.7 to 1.1 microseconds a unit from
        n = 1e3 to 1e5, exact ones about a fifth of that.
        """
        return (self.n + 2000) * sum(self.k2) ** 3


class Study(Table):
    """A simulation study; see the module's text for what its hash covers."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    title: str = ""
    truth: str | dict
    gatings: Annotated[list[Literal[GATINGS]], Field(min_length=1), AfterValidator(distinct)]
    k2: Annotated[list[Fitted], Field(min_length=1), AfterValidator(distinct)]
    n: Sizes
    replicates: Annotated[int, Field(ge=1)]
    x: Annotated[UniformX | NormalX, Field(discriminator="law")]
    seed: Annotated[int, Field(ge=0)]
    statistics: Annotated[
        list[Annotated[str, Field(pattern=r"^(mean|median|q\d\d)$")]], Field(min_length=1), AfterValidator(distinct)
    ] = ["mean", "median", "q90"]
    beside: Annotated[list[str], AfterValidator(distinct)] = []
    fit: FitOptions = FitOptions()
    measures: Measures = Measures()

    @field_validator("truth", mode="before")
    @classmethod
    def _named_or_written(cls, value):
        if not isinstance(value, str | dict):
            raise ValueError("the name of a truth, or a table with the parameters of one")
        return value

    @model_validator(mode="after")
    def _one_gating(self):
        if isinstance(self.truth, dict) and [self.truth.get("gating")] != self.gatings:
            raise ValueError("gatings = [the gating of the truth], as the truth is a table")
        return self

    # -- the grid ---------------------------------------------------------------------------------------------------
    @cached_property
    def sizes(self):
        """The sample sizes, a sorted list."""
        return self.n.sizes() if isinstance(self.n, SizeRange) else sorted(self.n)

    def corners(self):
        """The first replicate of every gating, k2 and n: a `Cell` each, in the order of the study."""
        return [Cell(g, tuple(k2), n, 0) for g in self.gatings for k2 in self.k2 for n in self.sizes]

    def cells(self):
        """Every `Cell` of the study, sorted."""
        return [Cell(*corner[:3], r) for corner in sorted(self.corners()) for r in range(self.replicates)]

    # -- what the numbers depend on ---------------------------------------------------------------------------------
    @cached_property
    def identity(self):
        """The part of the study that its hash covers, as plain JSON values."""
        return self.model_dump(include={"truth", "x", "seed", "fit", "measures"}, exclude_none=True)

    @cached_property
    def hash(self):
        """Hex SHA-256 of `identity`."""
        return _digest(self.identity)

    def data_seed(self, n, replicate):
        """Stream of the sample; all gatings and all fitted models share it (common random numbers)."""
        return self._stream(DATA_STREAM, n, replicate)

    def fit_seed(self, n, replicate):
        """Stream of the starting values: its own, and one for all fitted models.

        `fit_mle` branches it by model, so that the exact model fitted inside an over-specified one starts as it does
        when it is fitted by itself.
        """
        return self._stream(FIT_STREAM, n, replicate)

    def _stream(self, tag, n, replicate):
        from numpy.random import SeedSequence

        return SeedSequence(self.seed, spawn_key=(tag, int(_digest(self.truth)[:32], 16), n, replicate))

    # -- the library's objects ----------------------------------------------------------------------------------------
    @cached_property
    def law(self):
        """The covariate law, `hmoe_stats.Uniform` or `hmoe_stats.Normal`."""
        import hmoe_stats as hs

        if isinstance(self.x, UniformX):
            return hs.Uniform(self.x.low, self.x.high)
        return hs.Normal(self.x.loc, self.x.scale)

    def measure(self, gating):
        """The true `MixingMeasure` under one gating.

        Raises
        ------
        StudyError
            If there is no such truth, or its table does not describe a measure.
        """
        import hmoe_stats as hs

        try:
            if isinstance(self.truth, dict):
                return hs.MixingMeasure.from_dict(self.truth)
            return hs.datasets.truth(self.truth, gating=gating)
        except ValueError as error:
            raise StudyError(f"study {self.name}: truth: {error}") from None


def _digest(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


# -- finding and reading ----------------------------------------------------------------------------------------------
def shipped_studies():
    """The studies that ship with the package: name -> file."""
    folder = importlib.resources.files(__package__) / "studies"
    return dict(sorted((entry.name[:-5], entry) for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_study(source):
    """Read a study by the name of a shipped one, or from the path of a TOML file.

    Raises
    ------
    StudyError
        If there is no such study, the file cannot be read or is not TOML, or a key is missing, unknown or has a value
        that does not fit: one line a problem, each naming the file, the key, what was expected and what came.
    """
    shipped = shipped_studies()
    file = shipped.get(str(source), Path(source))
    if not file.is_file():
        raise StudyError(f"no study {str(source)!r}: neither a shipped one ({', '.join(shipped)}) nor a TOML file")
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise StudyError(f"{file}: not a TOML file: {error}") from None
    try:
        return Study(**values)
    except ValidationError as error:
        raise StudyError("\n".join(f"{file}: {_explain(e)}" for e in error.errors())) from None


TABLES = {
    "": (Study,),
    "x": (UniformX, NormalX),
    "n": (SizeRange,),
    "fit": (FitOptions,),
    "fit.bounds": (Bounds,),
    "measures": (Measures,),
}
TAGS = ("uniform", "normal", "list", "table")  # pydantic puts the branch of a union into the path of an error


def _explain(error):
    """One line on one pydantic error: key, expected, got."""
    path = [part for part in error["loc"] if part not in TAGS]
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    kind, got = error["type"], error["input"]
    if kind == "extra_forbidden":
        known = sorted({field for table in TABLES[key.rpartition(".")[0]] for field in table.model_fields})
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        return f"{key}: unknown key{f'; did you mean {close[0]!r}?' if close else ''} (known: {', '.join(known)})"
    if kind == "missing":
        return f"{key}: missing key"
    if kind.startswith("union_tag"):  # only x has branches with a name
        return f"{key}.law: expected 'uniform' or 'normal', got {got.get('law')!r}"
    expected = str(error["ctx"]["error"]) if kind == "value_error" else error["msg"].removeprefix("Input should be ")
    return f"{key}: expected {expected}, got {got!r}" if key else f"expected {expected}"
