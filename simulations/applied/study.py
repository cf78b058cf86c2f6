"""Studies of models on data: tasks, models, sizes of their trees, and splits; the cells, their keys, their seeds.

A cell is a model of some size, fitted on one split of one task. Splits are keyed by (seed, task, replicate) and shared
by all models: differences are paired. The hash covers what changes a fit, and leaves out the lists that only say which
cells there are.
"""

import zlib
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from ..schema import CELLS, SHORT, Fitted, Name, Real, Table, distinct
from ..study import Cell, digest, text_of
from .models import CLUSTERS, SCORES, check_model, model_of
from .tasks import TASKS

SPLIT_STREAM, FIT_STREAM = 4, 5
FITS = {"kind", "scales", "n_starts", "seed"}


def _one_of(known, what):
    def check(name):
        if name not in known:
            raise ValueError(f"{what}: {', '.join(known)}")
        return name

    return AfterValidator(check)


Task = Annotated[str, _one_of(TASKS, "a task")]
Model = Annotated[str, AfterValidator(check_model)]
Score = Annotated[str, _one_of(SCORES, "a score")]


class Applied(Table):
    """A study of models on data.

    Attributes
    ----------
    tasks : list of str
        Of `tasks.TASKS`.
    models : list of str
        Names as `models.model_of` reads them: gatings, with words behind some, and references, which have no tree.
    reference : str
        The model that the others are set against.
    k2 : list of list of int
        Sizes. A flat model has one gate, that of level 2: of models that share it only the one named twice (SS, LL, QQ)
        is fitted flat.
    replicates : int
        Splits.
    seed : int
        Key of the splits, with task and replicate, and of the fits.
    primary : list of str
        Scores whose differences hold together; all others are exploratory.
    margin : float
        Differences within it are none that matters.
    scales : list of float
        Of Laplace gates, per standard deviation, from which a held-out fourth of the rows of a split chooses, where
        there are several.
    n_starts : int
        Of every fit.
    """

    name: Name
    kind: Literal["applied"]
    title: str = ""
    tasks: Annotated[list[Task], Field(min_length=1), SHORT, AfterValidator(distinct)]
    models: Annotated[list[Model], Field(min_length=1), SHORT, AfterValidator(distinct)]
    reference: Model
    k2: Annotated[list[Fitted], Field(min_length=1), SHORT, AfterValidator(distinct)]
    replicates: Annotated[int, Field(ge=2, le=CELLS)]
    seed: Annotated[int, Field(ge=0, lt=2**128)]
    primary: Annotated[list[Score], Field(min_length=1), SHORT, AfterValidator(distinct)]
    margin: Annotated[Real, Field(gt=0)]
    scales: Annotated[list[Annotated[Real, Field(gt=0)]], Field(min_length=1), SHORT] = [3.0]
    n_starts: Annotated[int, Field(ge=1, le=10**4)] = 4

    @model_validator(mode="after")
    def _possible(self):
        if self.reference not in self.models:
            raise ValueError("reference = one of the models")
        if set(CLUSTERS) & set(self.models) and not all(TASKS[name].domains for name in self.tasks):
            raise ValueError(f"tasks with hidden domains, as {' and '.join(CLUSTERS)} are asked for nothing else")
        if "network" in self.models and not all(TASKS[name].classes for name in self.tasks):
            raise ValueError("tasks whose y is a class, as there is a network among the models")
        if any(getattr(model_of(name), "block", "") for name in self.models):
            if not all(TASKS[name].blocks for name in self.tasks):
                raise ValueError("tasks with blocks of columns, as gates of a model see one of them")
        if self.n_cells > CELLS:
            raise ValueError(f"at most {CELLS} cells, got {self.n_cells}")
        return self

    # -- what the store asks of every study ----------------------------------------------------------------------------
    truth: ClassVar[str] = "data"
    random: ClassVar[bool] = False
    others: ClassVar[tuple] = ()

    @cached_property
    def identity(self):
        """What changes a fit, as plain JSON values."""
        return self.model_dump(include=FITS)

    @property
    def former_identity(self):
        """There never was another one."""
        return self.identity

    @cached_property
    def hash(self):
        """Hex SHA-256 of `identity`."""
        return digest(self.identity)

    def differences(self, identity):
        """How an identity differs from this study's: keys, each with both values."""
        keys = sorted(identity.keys() | self.identity.keys())
        pairs = ((key, identity.get(key), self.identity.get(key)) for key in keys)
        return [f"{key} ({old!r} there, {new!r} here)" for key, old, new in pairs if old != new]

    def declared(self):
        """What is declared beyond the fits, as plain JSON values."""
        kept = ("tasks", "models", "reference", "replicates", "primary", "margin")
        return {name: getattr(self, name) for name in kept} | {"k2": [text_of(k2) for k2 in self.k2]}

    def corners(self):
        """The first split of every task, model and size: a `Cell` each, in the order of the study."""
        out = []
        for task in self.tasks:
            for name in self.models:
                gating = model_of(name).gating
                sizes = [k2 for k2 in self.k2 if len(k2) > 1 or gating[0] == gating[1]] if gating else [()]
                out += [Cell(f"{task}: {name}", tuple(k2), TASKS[task].rows, 0) for k2 in sizes]
        return out

    @property
    def n_cells(self):
        """Number of cells of the study."""
        return len(self.corners()) * self.replicates

    def cells(self):
        """Every `Cell` of the study, sorted."""
        return [corner._replace(replicate=r) for corner in sorted(self.corners()) for r in range(self.replicates)]

    def cost(self, cell):
        """Rough relative cost of a `Cell`."""
        return (cell.n + 500) * max(1, sum(cell.k2)) ** 2

    # -- data and fits -------------------------------------------------------------------------------------------------
    def split(self, task, replicate):
        """The `tasks.Split` of a task."""
        import numpy as np

        return TASKS[task].make(np.random.default_rng(self._stream(SPLIT_STREAM, task, replicate)))

    def _stream(self, tag, task, replicate):
        """Key of a task; what stands behind a comma, as the unit of x, changes nothing of it."""
        from numpy.random import SeedSequence

        return SeedSequence(self.seed, spawn_key=(tag, zlib.crc32(task.partition(",")[0].encode()), replicate))

    def fitted(self, cell):
        """The row of a `Cell`, without its key: how the fit ended, its parameters, and its scores."""
        task, _, name = cell.gating.partition(": ")
        seed = int(self._stream(FIT_STREAM, task, cell.replicate).generate_state(1)[0])
        split = self.split(task, cell.replicate)
        return model_of(name).row(split, cell.k2, tuple(self.scales), self.n_starts, seed)
