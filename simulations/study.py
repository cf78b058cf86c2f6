"""Studies: what is simulated, written in TOML, checked by pydantic, hashed, and cut into cells.

A cell is (study hash, gating, fitted k2, n, replicate). The hash covers what changes a fit: truth, kind of experts,
covariate law, kind and gating of data, seed, fitting options, those that are not at their defaults. It leaves out the
name, the title, the measures, statistics and primary quantities of the tables, the studies shown beside it, the one
that its slopes are expected from, and the lists that only say which cells exist (gatings, k2, n, replicates): a study
that grows keeps the cells it has, and an option that is added keeps the hashes of all studies without it.
"""

import difflib
import hashlib
import importlib.resources
import json
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError, model_validator

from . import UserError
from .files import in_a_line, read_toml, refusal
from .schema import (
    CELLS,
    GATINGS,
    SHORT,
    Bounds,
    FitOptions,
    Fitted,
    GridX,
    Jitter,
    Measures,
    Name,
    NormalX,
    Quantity,
    RandomTruths,
    SizeRange,
    Sizes,
    Statistic,
    Table,
    Truth,
    TruthTable,
    UniformX,
    distinct,
)

DATA_STREAM, FIT_STREAM, TRUTH_STREAM = 1, 2, 3
FITS = {"truth", "experts", "x", "data", "data_gating", "seed", "fit"}  # the keys of a study that change its fits


def text_of(k2):
    """``"3,3"`` for (3, 3)."""
    return ",".join(map(str, k2))


def sizes_of(k2):
    """(3, 3) for ``"3,3"``; a `ValueError` where the text is none of whole numbers."""
    sizes = [m.strip(" ") for m in k2.split(",")]
    if not all(m.isascii() and m.isdigit() for m in sizes):  # int() would take 2_2 for 22
        raise ValueError(f"k2 must be whole numbers such as 2,2; got {k2[:40]!r}")
    return tuple(map(int, sizes))


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


def _law(values):
    """The name of a covariate law; none for what is no text, which pydantic would print, however long."""
    law = values.get("law") if isinstance(values, dict) else getattr(values, "law", None)
    return law if isinstance(law, str) else None


class Study(Table):
    """A simulation study; see the module's text for what its hash covers."""

    kind: ClassVar[str] = "simulation"
    name: Name
    title: str = ""
    truth: Truth
    experts: Literal["Gaussian", "categorical"] = "Gaussian"
    gatings: Annotated[list[Literal[GATINGS]], Field(min_length=1), SHORT, AfterValidator(distinct)]
    k2: Annotated[list[Fitted], Field(min_length=1), SHORT, AfterValidator(distinct)]
    n: Sizes
    replicates: Annotated[int, Field(ge=1, le=CELLS)]
    x: Annotated[
        Annotated[UniformX, Tag("uniform")] | Annotated[NormalX, Tag("normal")] | Annotated[GridX, Tag("grid")],
        Discriminator(_law),
    ]
    data: Literal["rows", "lattice"] = "rows"
    data_gating: Literal[GATINGS] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**128)]  # of the 128 bits that a SeedSequence mixes
    statistics: Annotated[list[Statistic], Field(min_length=1), SHORT, AfterValidator(distinct)] = [
        "mean",
        "median",
        "q90",
    ]
    primary: Annotated[list[Quantity], SHORT, AfterValidator(distinct)] = []
    beside: Annotated[list[str], SHORT, AfterValidator(distinct)] = []
    expected: str | None = None  # the study whose slopes over the same n are those to be expected
    fit: FitOptions = FitOptions()
    measures: Measures = Measures()

    @model_validator(mode="after")
    def _one_gating(self):
        if isinstance(self.truth, dict) and not self.random and [self.truth.get("gating")] != self.gatings:
            raise ValueError("gatings = [the gating of the truth], as the truth is a table")
        return self

    @model_validator(mode="after")
    def _named_for_another_gating(self):
        if isinstance(self.truth, dict) and self.data_gating is not None:
            raise ValueError("truth = the name of one, as data_gating asks for it under several gatings")
        return self

    @model_validator(mode="after")
    def _experts_of_a_name(self):
        if self.experts == "categorical":
            if isinstance(self.truth, dict) or self.data_gating is not None:
                raise ValueError('truth = the name of one, and no data_gating, as experts = "categorical"')
            fit = self.fit
            if fit.estimator != "mle" or not fit.local or fit.bounds.nu is not None:
                raise ValueError('fit.local = true, estimator = "mle" and no bounds.nu, as experts = "categorical"')
        return self

    @model_validator(mode="after")
    def _lattice_with_a_floor(self):
        if self.experts == "categorical":
            return self
        if self.data == "lattice" and self.fit.bounds.nu is None:
            raise ValueError('fit.bounds.nu = [low, high], as data = "lattice": its step in y goes by the variance low')
        return self

    @model_validator(mode="after")
    def _no_box_of_em(self):
        needed = {"nu"} if self.data == "lattice" else set()
        if self.fit.estimator == "em" and self.fit.bounds.model_dump(exclude=needed, exclude_none=True):
            raise ValueError('no fit.bounds, as estimator = "em" has no box; but nu where data = "lattice"')
        return self

    @model_validator(mode="after")
    def _few_cells(self):
        if self.n_cells > CELLS:
            lists = f"{len(self.gatings)} gatings x {len(self.k2)} k2 x {len(self.sizes)} n"
            raise ValueError(f"at most {CELLS} cells, got {self.n_cells}: {lists} x {self.replicates} replicates")
        return self

    @property
    def random(self):
        """Whether every replicate has a truth of its own, drawn for it."""
        return isinstance(self.truth, dict) and "separation" in self.truth

    @property
    def truths(self):
        """Replicates whose truths stand for those of all: each, or where there is one truth the first."""
        return range(self.replicates if self.random else 1)

    # -- the grid ---------------------------------------------------------------------------------------------------
    @cached_property
    def sizes(self):
        """The sample sizes, a sorted list."""
        return self.n.sizes() if isinstance(self.n, SizeRange) else sorted(self.n)

    @property
    def n_cells(self):
        """Number of cells of the study."""
        return len(self.gatings) * len(self.k2) * len(self.sizes) * self.replicates

    def corners(self):
        """The first replicate of every gating, k2 and n: a `Cell` each, in the order of the study."""
        return [Cell(g, tuple(k2), n, 0) for g in self.gatings for k2 in self.k2 for n in self.sizes]

    @property
    def together(self):
        """How many intervals of primary quantities hold together: one for each of them and each model."""
        return len(self.primary) * len(self.gatings) * len(self.k2)

    def cells(self):
        """Every `Cell` of the study, sorted."""
        return [Cell(*corner[:3], r) for corner in sorted(self.corners()) for r in range(self.replicates)]

    # -- what the numbers depend on ---------------------------------------------------------------------------------
    @cached_property
    def identity(self):
        """What changes a fit, as plain JSON values, without what is at its default."""
        return self.model_dump(include=FITS, exclude_defaults=True)

    @cached_property
    def hash(self):
        """Hex SHA-256 of `identity`."""
        return digest(self.identity)

    @property
    def others(self):
        """(key, name) of each study that this one names: those beside it, then the one that it expects slopes from."""
        expected = [] if self.expected is None else [("expected", self.expected)]
        return [*(("beside", name) for name in self.beside), *expected]

    @cached_property
    def former_identity(self):
        """`identity` as it was while it held defaults and measures: that of older results files."""
        newer = {"measures": {"functional"}, "experts": True}
        if self.fit.estimator == "mle":  # the only one there was
            newer["fit"] = {"estimator"}
        whole = self.model_dump(include={*FITS, "measures"}, exclude=newer, exclude_none=True)
        return {key: value for key, value in whole.items() if key != "data" or value != "rows"}

    def declared(self):
        """What is declared beyond the fits, as plain JSON values."""
        said = {"gatings": self.gatings, "k2": [text_of(k2) for k2 in self.k2], "n": self.sizes}
        said |= {"replicates": self.replicates, "statistics": self.statistics}
        return said | ({"primary": self.primary} if self.primary else {})

    def differences(self, identity):
        """How an identity, of this version or of another, differs from this study's: keys, each with both values."""
        whole = self.model_dump(include=FITS, exclude_none=True)
        there = {key: value for key, value in identity.items() if key != "measures"}
        return _differences(there, whole, self.identity)

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

        return SeedSequence(self.seed, spawn_key=(tag, int(digest(self.truth)[:32], 16), n, replicate))

    # -- the library's objects ----------------------------------------------------------------------------------------
    @cached_property
    def law(self):
        """The covariate law, `hmoe_stats.Uniform`, `hmoe_stats.Grid` or `hmoe_stats.Normal`."""
        import hmoe_stats as hs

        if isinstance(self.x, UniformX):
            return (hs.Grid if isinstance(self.x, GridX) else hs.Uniform)(self.x.low, self.x.high)
        return hs.Normal(self.x.loc, self.x.scale)

    def measure(self, gating, replicate=0):
        """The true measure under one gating; random ones are those of a replicate, at all n.

        Raises
        ------
        StudyError
            If there is no such truth, or its table does not describe a measure.
        """
        import hmoe_stats as hs

        try:
            if self.random:
                stream = self._stream(TRUTH_STREAM, 0, replicate)
                return hs.datasets.random_truth(stream, gating, self.truth["separation"])
            if isinstance(self.truth, dict):
                return hs.MixingMeasure.from_dict(self.truth)
            truth = hs.datasets.truth(self.truth, gating=gating)
            if truth.family.name != self.experts:
                raise ValueError(f"experts must be {truth.family.name!r}, as {self.truth} has; got {self.experts!r}")
            return truth
        except ValueError as error:
            raise StudyError(f"study {self.name}: truth: {error}") from None

    def source(self, gating, replicate=0):
        """The true `MixingMeasure` of the data to which a gating is fitted: under that one, or under `data_gating`.

        In the latter case `measure` has its experts, with gates of the gating that is fitted: a place to start from.
        """
        return self.measure(self.data_gating or gating, replicate)

    def sample(self, gating, n, replicate):
        """Data to which a gating is fitted: X, y, and how often each row counts, None of ordinary rows.

        Under ``data = "lattice"`` they are the counts of `hmoe_stats.sample_lattice`, whose lattice is fine enough for
        all variances in the box of the fit.
        """
        import hmoe_stats as hs

        truth, seed = self.source(gating, replicate), self.data_seed(n, replicate)
        if self.data == "lattice":
            return hs.sample_lattice(truth, n, x=self.law, seed=seed, **self._floor)
        draw = hs.sample_categorical if truth.family.classed else hs.sample
        return *draw(truth, n, x=self.law, seed=seed), None

    @property
    def _floor(self):
        """The variance that the step of a lattice goes by, a keyword; none where y are classes."""
        return {} if self.experts == "categorical" else {"nu_min": self.fit.bounds.nu[0]}

    @cached_property
    def _points(self):
        """Points of the lattice under each gating: with Laplace gates some seven times as many as without."""
        from hmoe_stats.quadrature import lattice

        try:
            grids = {g: lattice(self.law, self.source(g), **self._floor) for g in self.gatings}
        except ValueError as error:
            raise StudyError(f"study {self.name}: data: no lattice: {error}") from None
        return {gating: len(grid.X) * grid.y.size for gating, grid in grids.items()}

    def cost(self, cell):
        """Rough relative cost of the fit of a `Cell`, (rows + 2000) K^3.

        Rows, times the parameters squared, times iterations; small samples take more iterations, and what does not
        depend on n is the rest. Over-specified models of 6 and 10 experts take 0.7 to 1.1 microseconds a unit from
        n = 1e3 to 1e5, exact ones about a fifth of that. Data on a lattice have no more rows than that has points.
        """
        rows = cell.n if self.data == "rows" else min(cell.n, self._points[cell.gating])
        return (rows + 2000) * sum(cell.k2) ** 3


def digest(value):
    """Hex SHA-256 of plain JSON values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _differences(there, here, needed, prefix=""):
    """Keys in which two identities differ; of those in `here`, all but those `needed` are at their defaults."""
    out = []
    for key in sorted(there.keys() | here.keys()):
        old, new = there.get(key), here.get(key)
        if isinstance(new, dict) and isinstance(old, dict | None):
            out += _differences(old or {}, new, needed.get(key, {}), f"{prefix}{key}.")
        elif old != new and (key in there or key in needed):
            out.append(f"{prefix}{key} ({old!r} there, {new!r} here)")
    return out


# -- finding and reading ----------------------------------------------------------------------------------------------
def shipped_studies():
    """The studies that ship with the package: name -> file."""
    folder = importlib.resources.files(__package__) / "studies"
    return dict(sorted((entry.name[:-5], entry) for entry in folder.iterdir() if entry.name.endswith(".toml")))


def shipped_cells():
    """The packed results that ship with the package, SQLite files in gzip: name of the study -> file.

    An installed package has them beside its studies, a checkout in figures/cells.
    """
    package = importlib.resources.files(__package__)
    folder = next(
        (place for place in (package / "cells", package / ".." / "figures" / "cells") if place.is_dir()), None
    )
    end = ".sqlite.gz"
    found = [] if folder is None else [entry for entry in folder.iterdir() if entry.name.endswith(end)]
    return dict(sorted((entry.name.removesuffix(end), entry) for entry in found))


def load_study(source):
    """Read a study by the name of a shipped one, or from the path of a TOML file.

    Raises
    ------
    StudyError
        If there is no such study, the file cannot be read or is not TOML, or a key is missing, unknown or has a value
        that does not fit: one line a problem, each naming the file, the key, what was expected and what came.
    """
    shipped = shipped_studies()
    file = shipped.get(str(source))
    if file is None:
        file, where = Path(source), in_a_line(source)
        if (why := refusal(file)) and str(source):
            raise StudyError(f"{where}: {why}")
        if not (str(source) and file.exists()):
            raise StudyError(f"no study '{where}': neither a shipped one ({', '.join(shipped)}) nor a TOML file")
    try:
        values = read_toml(file)
        return _kind_of(values).model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise StudyError(problems(in_a_line(file), map(_explain, found))) from None
    except UserError as error:
        raise StudyError(str(error)) from None


def load_simulation(source):
    """`load_study`, of a study that has rates; an applied one is a `StudyError`, too."""
    study = load_study(source)
    if study.kind == "applied":
        raise StudyError(f"{in_a_line(source)}: an applied study has no rates: expected a simulation")
    return study


def _kind_of(values):
    """The class of a study: simulations need not say what they are."""
    if values.get("kind") != "applied":
        return Study
    from .applied.study import Applied  # which imports this file

    TABLES[()] = (Study, Applied)
    return Applied


def study_template(name, seed):
    """The text of a study file to start from, with a word on every key.

    Raises
    ------
    StudyError
        If the name is none for files.
    """
    text = (importlib.resources.files(__package__) / "study.toml.in").read_text(encoding="utf-8")
    values = tomllib.loads(text.replace("SEED", str(seed)))
    try:
        Study.model_validate(values | {"name": name})
    except ValidationError as error:
        raise StudyError(problems("NAME", map(_explain, error.errors(include_url=False)))) from None
    return text.replace("NAME", name).replace("SEED", str(seed))


def problems(what, found):
    """The message on problems of `what`, a line each, and no more than anybody reads."""
    found = list(found)
    lines = found[:LINES] + ([f"and {len(found) - LINES} more"] if len(found) > LINES else [])
    return "\n".join(f"{what}: {line}" for line in lines)


LINES = 20  # of one message
SHOWN = 100  # characters of a value
TABLES = {
    (): (Study,),
    ("truth",): (TruthTable, RandomTruths),
    ("x",): (UniformX, NormalX, GridX),
    ("n",): (SizeRange,),
    ("fit",): (FitOptions,),
    ("fit", "bounds"): (Bounds,),
    ("fit", "jitter"): (Jitter,),
    ("measures",): (Measures,),
}
TAGGED = (("x",), ("n",), ("truth",))
EXPECTED = {  # where pydantic's words are those of Python
    "too_short": "at least 1 entry",
    "string_too_long": "at most 500 characters",
    "dict_type": "a table",
    "model_type": "a table",
    "union_tag_not_found": "a table",
}


def _explain(error):
    """One line on one pydantic error: key, expected, got."""
    loc, kind, got = error["loc"], error["type"], error["input"]
    path = tuple(part for i, part in enumerate(loc) if not _is_tag(loc, i))
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{_as_key(p)}" for p in path).lstrip(".")
    if kind == "extra_forbidden":
        known = sorted({field for table in TABLES[path[:-1]] for field in table.model_fields})
        close = difflib.get_close_matches(path[-1][:SHOWN], known, n=1)
        return f"{key}: unknown key{f'; did you mean {close[0]!r}?' if close else ''} (known: {', '.join(known)})"
    if kind == "missing":
        return f"{key}: missing key"
    if kind.startswith("union_tag") and isinstance(got, dict):  # only x has branches with a name
        return f"{key}.law: expected 'uniform', 'normal' or 'grid', got {_shown(got.get('law'))}"
    expected = str(error["ctx"]["error"]) if kind == "value_error" else error["msg"].removeprefix("Input should be ")
    expected = EXPECTED.get(kind, expected)
    for limit in (v for k, v in error.get("ctx", {}).items() if k in ("ge", "gt", "le", "lt") and isinstance(v, float)):
        expected = f"{expected.rpartition(' ')[0]} {limit:g}"  # not with all its zeros
    return f"{key}: expected {expected}, got {_shown(got)}" if key else f"expected {expected}"


def _is_tag(loc, i):
    """Pydantic puts the branch of a union into the path: after the key, or the number of an entry."""
    return isinstance(loc[i], str) and i > 0 and (loc[:i] in TAGGED or isinstance(loc[i - 1], int))


def _as_key(part):
    """A key as TOML writes it: quoted where it is not bare."""
    if re.fullmatch("[A-Za-z0-9_-]+", part) is None:
        part = json.dumps(part, ensure_ascii=not part.isprintable())
    return _cut(part)


def _shown(value):
    """A value in a message, of one line and not too long."""
    if isinstance(value, list | dict) and len(value) > SHOWN:
        return f"a {'list' if isinstance(value, list) else 'table'} of {len(value)}"
    try:
        return _cut(repr(value))
    except ValueError:  # Python's own limit
        return "a number of thousands of digits"


def _cut(text):
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
