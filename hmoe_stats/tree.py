"""A tree of gates with an expert at each leaf: what measures of all families of experts share.

The gates of level 1 share out rows among groups, those of level 2 among the experts of a group. Here are their arrays,
the columns of x that gates and experts see, vectors of parameters, the canonical form, and how a measure is written,
compared and copied. A family (`hmoe_stats.families`) says which arrays experts have; a subclass of `Tree` is a frozen
dataclass with these for fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from . import gates
from .arguments import (
    as_floats,
    as_numbers,
    check_columns,
    check_gating,
    check_k2,
    check_number,
    check_whole,
    cut,
    shape_words,
    shown,
)
from .families import Family
from .kinds import Columns, Floats, Frame, Integers, Measure
from .names import visible

LINE = 120  # characters of a printed line: wider tables are printed in blocks of columns
OF_GATES = ("a", "b", "omega", "beta")
WIDE = {"a": "gate_columns", "omega": "gate_columns", "eta": "expert_columns"}  # and what they have a column for

_FLOAT = np.dtype(np.float64)


class Tree:
    """What measures of one family share; a frozen dataclass of each has the arrays.

    Attributes
    ----------
    family : Family
    shape_fields : tuple of str
        What makes two measures comparable, entry by entry.
    """

    family: Family
    shape_fields: tuple[str, ...] = ("gating", "k2", "d", "gate_columns", "expert_columns")

    if TYPE_CHECKING:  # what the dataclasses have
        __dataclass_fields__: ClassVar[dict[str, Any]]
        gating: str
        k2: tuple[int, ...]
        d: int
        a: Floats
        b: Floats
        omega: Floats
        beta: Floats
        laplace_scale: Floats
        gate_columns: tuple[int, ...] | None
        expert_columns: tuple[int, ...] | None

        @property
        def per_expert(self) -> int: ...
        def parameter_names(self, names: Sequence[str] | None = None) -> list[str]: ...
        def to_frame(self, names: Sequence[str] | None = None) -> Frame: ...

    def make(self) -> None:
        """Check all fields and set them, arrays read-only: what a subclass does when it is made."""
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731 - the frozen way in
        put("gating", check_gating(self.gating))
        put("k2", check_k2(self.k2))
        put("d", self._covariates())
        view = check_view(self.gating, self.d, self.laplace_scale, self.gate_columns, self.expert_columns)
        for name, value in view.items():
            put(name, value)
        for name, shape in self._shapes().items():
            put(name, frozen(as_floats(name, getattr(self, name), shape, copy=False)))
        self._check_entries(" (expert variances)")

    def _check_entries(self, note=""):
        """Raise a `ValueError` where an entry is none that its array may have."""
        for name in self.family.logged:
            smallest = getattr(self, name).min()
            if not smallest > 0:
                raise ValueError(f"{name}{note} must be positive; got a smallest entry of {smallest:g}")

    def _shapes(self):
        """Shapes of the arrays, those first whose mistakes are told first."""
        k1, K = self.k1, self.n_experts
        of_experts = self._expert_shapes(self.d_expert)
        of_gates = {"a": (k1, self.d_gate), "b": (k1,), "omega": (K, self.d_gate), "beta": (K,)}
        return {"eta": of_experts["eta"]} | of_gates | of_experts

    def _expert_shapes(self, d):
        return self.family.shapes(self.n_experts, d)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of vectors."""
        return OF_GATES + self.family.arrays

    def _covariates(self):
        """Number of columns of x: that of parameters which have one for each, or as the columns that are seen say."""
        for name, shape in (("eta", self._expert_shapes(-1)["eta"]), ("a", (self.k1, -1))):
            if getattr(self, WIDE[name]) is None:
                d = as_floats(name, getattr(self, name), shape, copy=False).shape[-1]
                if d < 1:
                    raise ValueError(f"{name} must have at least one column (d >= 1); got none")
                if self.d is not None and check_whole("d", self.d) != d:
                    raise ValueError(f"d must be {d}, the number of columns of {name}; got {shown(self.d)}")
                return d
        seen = [c for name in ("gate_columns", "expert_columns") for c in check_columns(name, getattr(self, name))]
        least = 1 + max(seen, default=0)
        return least if self.d is None else check_whole("d", self.d, least)

    # -- shape ------------------------------------------------------------------------------------------------------
    @property
    def k1(self) -> int:
        """Number of groups."""
        return len(self.k2)

    @property
    def d_gate(self) -> int:
        """Number of columns that gates see."""
        return self.d if self.gate_columns is None else len(self.gate_columns)

    @property
    def d_expert(self) -> int:
        """Number of columns that experts see."""
        return self.d if self.expert_columns is None else len(self.expert_columns)

    @property
    def n_experts(self) -> int:
        """Number of experts in all groups, K."""
        return sum(self.k2)

    @property
    def group(self) -> Integers:
        """(K,) int: the group of each expert."""
        return np.repeat(np.arange(self.k1), self.k2)

    @property
    def offsets(self) -> Integers:
        """(k1 + 1,) int: group i holds experts ``offsets[i]:offsets[i + 1]``."""
        return np.concatenate([[0], np.cumsum(self.k2)])

    @property
    def n_parameters(self) -> int:
        """Length of `to_vector`; softmax translations and constant gates are counted, not removed."""
        return self.k1 * (self.d_gate + 1) + self.n_experts * self.per_expert

    @property
    def gates(self) -> tuple[Any, Any]:
        """The gates of both levels, records of `hmoe_stats.gates`, over the columns that they see."""
        scale = self.laplace_scale if self.gate_columns is None else self.laplace_scale[list(self.gate_columns)]
        return gates.of(self.gating, None if (scale == 1.0).all() else scale)

    def gate_parts(self) -> list[tuple[str, str, int, int, Any]]:
        """Each gate: names of its slopes and intercepts, the first and the last of its components, and its kind."""
        first, second = self.gates
        ends = pairwise(self.offsets.tolist())
        return [("a", "b", 0, self.k1, first), *(("omega", "beta", *pair, second) for pair in ends)]

    def translations(self) -> list[Integers]:
        """Entries of `to_vector` of a measure that sees all columns to which one number can be added at no cost.

        A list of int arrays: intercepts of a gate, and of gates without centres its slopes, column by column. Of a gate
        of one component each entry stands alone, as nothing depends on it.
        """
        places, out = {name: np.arange(self.n_parameters)[where] for name, where in self.slices.items()}, []
        for wide, flat, first, last, gate in self.gate_parts():
            out.append(places[flat][first:last])
            if gate.translates or last - first == 1:
                out += list(places[wide].reshape(-1, self.d)[first:last].T)
        return out

    @property
    def slices(self) -> dict[str, slice]:
        """Where each parameter sits in `to_vector`: name -> slice, in order."""
        sizes = {self.family.entry(name): getattr(self, name).size for name in self.arrays}
        ends = np.cumsum(list(sizes.values()))
        return {name: slice(int(e - s), int(e)) for (name, s), e in zip(sizes.items(), ends, strict=True)}

    # -- columns ----------------------------------------------------------------------------------------------------
    @property
    def view(self) -> dict[str, Any]:
        """What is not by default of laplace_scale, gate_columns, expert_columns and d: a dict of keywords."""
        if self._sees_all and (self.laplace_scale == 1.0).all():
            return {}
        out = {name: getattr(self, name) for name in ("gate_columns", "expert_columns")}
        out = {name: columns for name, columns in out.items() if columns is not None}
        usual = check_view(self.gating, self.d, 1.0, self.gate_columns)["laplace_scale"]
        if not np.array_equal(self.laplace_scale, usual):
            out["laplace_scale"] = self.laplace_scale
        return out | ({"d": self.d} if {"gate_columns", "expert_columns"} <= set(out) else {})

    @property
    def _sees_all(self):
        return self.gate_columns is None and self.expert_columns is None

    def columns(self, name: str) -> list[int]:
        """The columns of x that ``a``, ``omega`` or ``eta`` have one for: a list of int."""
        seen = getattr(self, WIDE[name])
        return list(range(self.d) if seen is None else seen)

    def wide(self) -> Self:
        """The same density, with gates and experts that see all columns: the measure itself where they do.

        Slopes are 0 on columns that were not seen; so are Laplace centres, and the scale of their gates.
        """
        if self._sees_all:
            return self
        changes: dict[str, Any] = dict.fromkeys(("gate_columns", "expert_columns", "d"))
        for name in WIDE:
            slopes = getattr(self, name)
            changes[name] = np.zeros((*slopes.shape[:-1], self.d))
            changes[name][..., self.columns(name)] = slopes
        return self.replace(laplace_scale=self.laplace_scale, **changes)

    def narrow(self, gate_columns: Columns | None = None, expert_columns: Columns | None = None) -> Self:
        """The same density, with gates and experts that see these columns only: the other way than `wide`.

        Raises
        ------
        ValueError
            If what is left out matters: slopes or a Laplace scale are not 0 there.
        """
        wide = self.wide()
        view = check_view(wide.gating, wide.d, wide.laplace_scale, gate_columns, expert_columns)
        changes = {name: getattr(wide, name) for name in WIDE}
        changes = {n: v if view[WIDE[n]] is None else v[..., list(view[WIDE[n]])] for n, v in changes.items()}
        out = wide.replace(d=wide.d, **view, **changes)
        if out.wide() != wide:
            wanted = "leave out columns with slopes, Laplace centres and scales of 0 only"
            raise ValueError(f"gate_columns and expert_columns must {wanted}; got others")
        return out

    def wide_index(self) -> Integers | slice:
        """Where the entries of `to_vector` stand in that of `wide`: (p,) int, or a slice of all."""
        if self._sees_all:
            return slice(None)
        wide, parts = self.wide(), []
        places = np.arange(wide.n_parameters)
        for name, where in wide.slices.items():
            part = places[where]
            parts.append(part.reshape(-1, self.d)[:, self.columns(name)].ravel() if name in WIDE else part)
        return np.concatenate(parts)

    # -- vectors ----------------------------------------------------------------------------------------------------
    def to_vector(self) -> Floats:
        """Unconstrained parameters (p,): each array flattened, in the order of `arrays`; positive ones' logarithms."""
        logged = self.family.logged
        blocks = (np.log(getattr(self, name)) if name in logged else getattr(self, name) for name in self.arrays)
        return np.concatenate([block.ravel() for block in blocks])

    def with_vector(self, vector: ArrayLike) -> Self:
        """Return a measure of the same gating and shape at another `to_vector` point.

        Raises
        ------
        ValueError
            If the length is wrong, an entry is not finite, or a variance over- or underflows.
        """
        v, parts = as_floats("vector", vector, (self.n_parameters,)), {}
        for name, where in zip(self.arrays, self.slices.values(), strict=True):
            part = v[where]
            if name in self.family.logged:
                with np.errstate(over="ignore", under="ignore"):
                    part = np.exp(part)
            parts[name] = part.reshape(getattr(self, name).shape)
        return self.replace(**parts)

    def called(self, names: Sequence[str] | None) -> list[str] | None:
        """The names of the covariates, checked; None where there are none."""
        if names is None:
            return None
        texts = list(names) if isinstance(names, list | tuple) else []
        if len(texts) != self.d or len(set(map(str, texts))) != self.d or not all(isinstance(t, str) for t in texts):
            raise ValueError(f"names must be {self.d} different texts, one a covariate; got {shown(names, 200)}")
        return texts

    def gate_args(self) -> tuple[Any, ...]:
        """What the functions of `hmoe_stats.kernels` take of gates: two codes, offsets, and the four arrays."""
        codes = (gate.code for gate in gates.of(self.gating))
        return *codes, np.array([0, *accumulate(self.k2)]), self.a, self.b, self.omega, self.beta

    def check(self) -> Self:
        """Return the measure itself if it is as it was made, else raise a `ValueError`.

        Attributes can be set by force (``object.__setattr__``), and then need not fit each other.
        """
        values = vars(self)
        gating, k2, d = values.get("gating"), values.get("k2"), values.get("d")
        if type(gating) is not str or gating not in gates.GATINGS:
            raise ValueError(f"gating must be what it was made; got {shown(gating)}")
        if type(k2) is not tuple or set(map(type, k2)) != {int} or min(k2) < 1:
            raise ValueError(f"k2 must be the tuple of positive integers it was made; got {shown(k2)}")
        if type(d) is not int or d < 1:
            raise ValueError(f"d must be the positive integer it was made; got {shown(d)}")
        for name in ("gate_columns", "expert_columns"):
            seen = values.get(name)
            if seen is not None and not (type(seen) is tuple and all(type(c) is int and 0 <= c < d for c in seen)):
                raise ValueError(f"{name} must be the tuple of columns it was made; got {shown(seen)}")
        shapes = self._shapes() | {"laplace_scale": (d,)}
        for name, shape in shapes.items():
            array: Any = values.get(name)
            fits = type(array) is np.ndarray and array.shape == shape and array.dtype is _FLOAT
            if fits:
                flags = array.flags
                fits = flags.c_contiguous and flags.aligned and not flags.writeable
            if not fits:
                wanted = f"the read-only array of shape {shape_words(shape)} it was made"
                raise ValueError(f"{name} must be {wanted}; got {shown(array)}")
        if not all(c >= 0 for c in self.laplace_scale.tolist()):
            raise ValueError(f"laplace_scale must be at least 0; got a smallest entry of {self.laplace_scale.min():g}")
        self._check_entries()
        return self

    # -- canonical form ---------------------------------------------------------------------------------------------
    def canonical(self, support: tuple[ArrayLike, ArrayLike] | None = None) -> Self:
        """Return the same density written in canonical form; labels are kept.

        Softmax and quadratic intercepts are normalised so that exp(scores) sum to one at the centre of the support, and
        slopes are centred with those weights; exponentials of Laplace intercepts sum to one; Laplace centres outside
        the support are clipped to its edge, the excess moved into the intercepts, where gates see one column only. A
        gate whose answer does not depend on its centres (one component, or all centres equal) has them put at the
        centre of the support.

        Parameters
        ----------
        support : (low, high), optional
            Range of the data, scalars or one value a coordinate. Without it the centre is 0 and nothing is clipped.

        Returns
        -------
        Tree
            A measure of the same class.

        Notes
        -----
        The maps used are exact invariances of the density on the support: softmax translations, Laplace intercept
        shifts, and ``-|x - a| = -|x - high| - (a - high)`` for x <= high <= a.
        """
        low, high = _check_support(support, self.d)
        bounded = np.isfinite(low) & np.isfinite(high)
        centre = np.zeros(self.d)
        centre[bounded] = 0.5 * low[bounded] + 0.5 * high[bounded]
        seen, fields = self.columns("a"), {name: np.empty_like(getattr(self, name)) for name in OF_GATES}
        low, high, centre = low[seen], high[seen], centre[seen]
        for wide, flat, lo, hi, gate in self.gate_parts():
            own = getattr(self, wide)[lo:hi], getattr(self, flat)[lo:hi]
            fields[wide][lo:hi], fields[flat][lo:hi] = gate.canonical(*own, low, high, centre)
        return self.replace(**fields)

    def __reduce__(self):
        # by the front door: pickled or copied arrays would come back writeable
        return type(self).from_dict, (self._fields(),)

    def __setstate__(self, state):
        vars(self).update(vars(type(self).from_dict(state)))

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated anew."""
        return type(self)(**self._fields() | changes)

    def _fields(self):
        """The keywords that make this measure."""
        return {name: getattr(self, name) for name in ("gating", "k2", *self.arrays)} | self.view

    # -- writing and comparing --------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """Plain lists and strings, ready for `json.dumps`; floats survive the round trip exactly.

        Scale and columns are left out where they are the default ones.
        """
        return {name: _plain(value) for name, value in self._fields().items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build a measure from `to_dict` output.

        Raises
        ------
        ValueError
            If a key is missing or unknown, or a value does not fit.
        """
        names = {"gating", "k2", *OF_GATES, *cls.family.arrays}
        if not isinstance(values, dict) or not names <= set(values) <= {f.name for f in fields(cls)}:
            got = list(values) if isinstance(values, dict) else values
            raise ValueError(f"values must be a dict with the keys {sorted(names)}; got {shown(got)}")
        return cls(**values)

    def __eq__(self, other):
        if not isinstance(other, type(self)):
            return NotImplemented
        same = all(getattr(self, name) == getattr(other, name) for name in self.shape_fields)
        return same and all(np.array_equal(*pair) for pair in self._pairs(other))

    def __hash__(self):
        # + 0.0 so that -0.0 and 0.0, which compare equal, hash alike
        arrays = [(array + 0.0).tobytes() for array, _ in self._pairs(self)]
        return hash((*(getattr(self, name) for name in self.shape_fields), *arrays))

    def _pairs(self, other):
        return [(getattr(self, name), getattr(other, name)) for name in (*self.arrays, "laplace_scale")]

    def allclose(self, other: Measure, rtol: float = 1e-9, atol: float = 1e-12) -> bool:
        """True if `other` has the same gating and shape, and equal parameters up to the tolerances of `np.allclose`."""
        other = self.like("other", other)
        for name, value in (("rtol", rtol), ("atol", atol)):
            check_number(name, value, "a number of at least 0", lambda v: v >= 0)
        if any(getattr(self, name) != getattr(other, name) for name in self.shape_fields):
            return False
        return all(np.allclose(x, y, rtol=rtol, atol=atol) for x, y in self._pairs(other))

    def to_string(self, names: Sequence[str] | None = None) -> str:
        """The gating, the shape and the table of `to_frame`, all of its columns: what ``print`` shows, a str."""
        table = self.to_frame(names).rename(columns=visible).to_string(line_width=LINE)
        more = "".join(f", {name}={_plain(value)}" for name, value in self.view.items() if name != "d")
        return f"{type(self).__name__}(gating={self.gating!r}, k2={self.k2}, d={self.d}{more})\n{table}"

    def __repr__(self):
        return self.to_string()

    @classmethod
    def like(cls, name: str, value: object) -> Self:
        """Return `value` if it is a measure of this class, or of such a fit, else raise a `ValueError` naming it."""
        measure = value if isinstance(value, cls) else getattr(value, "measure", None)
        if not isinstance(measure, cls):
            raise ValueError(f"{name} must be a {cls.__name__}; got {cut(type(value).__name__)}")
        return measure.check()

def check_view(gating, d, laplace_scale=1.0, gate_columns=None, expert_columns=None, names=()):
    """The Laplace scale and the columns of a model on d covariates as a measure has them, else a `ValueError`.

    Parameters
    ----------
    gating : str
        As checked.
    d : int
    laplace_scale, gate_columns, expert_columns
        As given; columns may be names, too, where the covariates have `names`.
    names : tuple of str, optional

    Returns
    -------
    dict
        laplace_scale, a read-only array (d,), 0 on columns that Laplace gates do not see; gate_columns and
        expert_columns, tuples of int, None for all columns in their order.
    """
    seen = {"gate_columns": gate_columns, "expert_columns": expert_columns}
    if type(laplace_scale) is float and laplace_scale == 1.0 and gate_columns is None and expert_columns is None:
        return {"laplace_scale": _ones(d)} | seen  # of nearly all measures
    seen = {name: None if value is None else check_columns(name, value, d, names) for name, value in seen.items()}
    seen = {name: None if value == tuple(range(d)) else value for name, value in seen.items()}
    wanted = f"a number of at least 0, or {d} of them, one a covariate"
    scale = as_numbers("laplace_scale", laplace_scale, wanted)
    if scale.shape not in ((), (d,)):
        raise ValueError(f"laplace_scale must be {wanted}; got an array of shape {shown(scale.shape)}")
    scale = as_floats("laplace_scale", scale, scale.shape)
    if scale.min(initial=0.0) < 0:
        raise ValueError(f"laplace_scale must be {wanted}; got {scale.min():g}")
    scale = np.broadcast_to(scale, (d,)).copy()
    if not gates.has_scale(gating):
        if (scale != 1.0).any():
            wanted = f"1 without a Laplace gate, as in gating {gating!r}"
            raise ValueError(f"laplace_scale must be {wanted}; got {shown(laplace_scale)}")
    elif seen["gate_columns"] is not None:
        scale[np.delete(np.arange(d), seen["gate_columns"])] = 0.0
    return {"laplace_scale": frozen(scale)} | seen


def _plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple) else value


@cache
def _ones(d):
    return frozen(np.ones(d))


def frozen(array):
    """A copy that no flag makes writeable again, as it is a view on bytes; `base` shows no writeable array either."""
    return np.frombuffer(array.tobytes() or bytes(8), count=array.size).reshape(array.shape)


def _check_support(support, d):
    if support is None:
        return np.full(d, -np.inf), np.full(d, np.inf)
    wanted = f"a pair (low, high) of scalars or ({d},) arrays"
    pair = isinstance(support, tuple | list) or (isinstance(support, np.ndarray) and support.ndim > 0)
    if not pair or len(support) != 2:
        raise ValueError(f"support must be {wanted}; got {shown(support)}")
    ends = [as_numbers("support", end, wanted) for end in support]
    if any(end.shape not in ((), (1,), (d,)) for end in ends):
        raise ValueError(f"support must be {wanted}; got {shown([end.shape for end in ends])}")
    low, high = (np.broadcast_to(end, (d,)) for end in ends)
    if not (low < high).all():
        i = int(np.argmin(low < high))
        raise ValueError(f"support must have low < high in every coordinate; got {low[i]:g}, {high[i]:g} at {i}")
    return low, high
