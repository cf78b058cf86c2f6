"""The mixing measure: the parameters of a two-level Gaussian hierarchical mixture of experts.

The model, for a response y in R and covariates x in R^d, is

    p_G(y | x) = sum_i g_i(x) sum_{j in group i} g_{j|i}(x) N(y | eta_j' x + tau_j, nu_j),

    g_i(x)     = softmax_i( s1(x, a_i) + b_i ),
    g_{j|i}(x) = softmax_j( s2(x, omega_j) + beta_j )  within group i,

with s(x, a) = a' x (softmax gating, letter S), s(x, a) = -||c (x - a)|| (Laplace gating, letter L; c is a scale for
each column, 1 unless it is stated) or s(x, a) = a' (x^2), squares entry by entry (quadratic monomial gating, letter Q).
`MixingMeasure` holds these parameters, maps them to and from unconstrained vectors, and writes them in a canonical
form.

Gates and experts may see some columns of x only. That is but a way to write a measure: the same density has slopes of 0
on the other columns, and Laplace gates a scale of 0 there (`MixingMeasure.wide`).
"""

from dataclasses import dataclass, fields
from functools import cache
from itertools import accumulate

import numpy as np

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
from .names import visible

LINE = 120  # characters of a printed line: wider tables are printed in blocks of columns

ARRAYS = ("a", "b", "omega", "beta", "eta", "tau", "nu")
WIDE = {"a": "gate_columns", "omega": "gate_columns", "eta": "expert_columns"}  # and what they have a column for

_FLOAT = np.dtype(np.float64)
_SHAPE = ("gating", "k2", "d", "gate_columns", "expert_columns")  # what makes measures comparable


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MixingMeasure:
    """Parameters of a two-level Gaussian HMoE, validated and immutable: its arrays cannot be made writeable again.

    Experts ("leaves") are stored group after group. A flat mixture of experts is one group, ``k2=(K,)``, whose level-1
    gate is constant.

    Parameters
    ----------
    gating : str
        Gate type of level 1 and of level 2, two letters of S softmax, L Laplace, Q quadratic monomial: ``"SL"``.
    k2 : sequence of int, or int
        Number of experts in each group (an integer: of the only one); ``k1 = len(k2)`` groups, ``K = sum(k2)`` experts.
    a, b : array_like, (k1, d) and (k1,)
        Level-1 gate: slopes (softmax, quadratic) or centres (Laplace), and intercepts.
    omega, beta : array_like, (K, d) and (K,)
        Level-2 gate of each expert within its group.
    eta, tau : array_like, (K, d) and (K,)
        Expert mean ``eta' x + tau``.
    nu : array_like, (K,)
        Expert variance (not standard deviation), positive.
    laplace_scale : float or array_like, (d,), optional
        c >= 0 of the scores ``-||c (x - a)||`` of Laplace gates, per unit of each column of x. Only they have one.
    gate_columns, expert_columns : sequence of int, optional
        The columns of x that gates, and experts, see; all of them by default. ``a`` and ``omega`` then have a column
        for each of the former, ``eta`` one for each of the latter, and `laplace_scale` is 0 on what gates do not see.
    d : int, optional
        Number of columns of x, where neither gates nor experts see all of them; by default 1 + the largest that is
        seen.

    Where there is one column, ``a``, ``omega`` and ``eta`` may be given as one-dimensional arrays.

    Raises
    ------
    ValueError
        If a shape does not fit, an entry is not finite, a variance is not positive, the gating is unknown, columns are
        none of x, or a scale is stated without a Laplace gate.
    """

    gating: str
    k2: tuple
    a: np.ndarray  # (k1, d)
    b: np.ndarray  # (k1,)
    omega: np.ndarray  # (K, d)
    beta: np.ndarray  # (K,)
    eta: np.ndarray  # (K, d)
    tau: np.ndarray  # (K,)
    nu: np.ndarray  # (K,)
    laplace_scale: np.ndarray = 1.0  # (d,)
    gate_columns: tuple | None = None
    expert_columns: tuple | None = None
    d: int | None = None

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731 - the frozen way in
        put("gating", check_gating(self.gating))
        put("k2", check_k2(self.k2))
        k1, K = len(self.k2), sum(self.k2)
        put("d", self._covariates(k1, K))
        view = check_view(self.gating, self.d, self.laplace_scale, self.gate_columns, self.expert_columns)
        for name, value in view.items():
            put(name, value)
        for name, shape in _shapes(k1, K, self.d_gate, self.d_expert).items():
            put(name, _frozen(as_floats(name, getattr(self, name), shape, copy=False)))
        if self.nu.min() <= 0:
            raise ValueError(f"nu (expert variances) must be positive; got a smallest entry of {self.nu.min():g}")

    def _covariates(self, k1, K):
        """Number of columns of x: that of parameters which have one for each, or as the columns that are seen say."""
        for name, rows in (("eta", K), ("a", k1)):
            if getattr(self, WIDE[name]) is None:
                d = as_floats(name, getattr(self, name), (rows, -1), copy=False).shape[1]
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
    def k1(self):
        """Number of groups."""
        return len(self.k2)

    @property
    def d_gate(self):
        """Number of columns that gates see."""
        return self.d if self.gate_columns is None else len(self.gate_columns)

    @property
    def d_expert(self):
        """Number of columns that experts see."""
        return self.d if self.expert_columns is None else len(self.expert_columns)

    @property
    def n_experts(self):
        """Number of experts in all groups, K."""
        return sum(self.k2)

    @property
    def group(self):
        """(K,) int: the group of each expert."""
        return np.repeat(np.arange(self.k1), self.k2)

    @property
    def offsets(self):
        """(k1 + 1,) int: group i holds experts ``offsets[i]:offsets[i + 1]``."""
        return np.concatenate([[0], np.cumsum(self.k2)])

    @property
    def n_parameters(self):
        """Length of `to_vector`; softmax translations and constant gates are counted, not removed."""
        return self.k1 * (self.d_gate + 1) + self.n_experts * self.per_expert

    @property
    def per_expert(self):
        """Number of parameters of an expert and its gate."""
        return self.d_gate + self.d_expert + 3

    @property
    def gates(self):
        """The gates of both levels, records of `hmoe_stats.gates`, over the columns that they see."""
        scale = self.laplace_scale if self.gate_columns is None else self.laplace_scale[list(self.gate_columns)]
        return gates.of(self.gating, None if (scale == 1.0).all() else scale)

    @property
    def slices(self):
        """Where each parameter sits in `to_vector`: name -> slice, in order."""
        return vector_slices(self.k1, self.n_experts, self.d_gate, self.d_expert)

    # -- columns ----------------------------------------------------------------------------------------------------
    @property
    def view(self):
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

    def columns(self, name):
        """The columns of x that ``a``, ``omega`` or ``eta`` have one for: a list of int."""
        seen = getattr(self, WIDE[name])
        return list(range(self.d) if seen is None else seen)

    def wide(self):
        """The same density, with gates and experts that see all columns: the measure itself where they do.

        Slopes are 0 on columns that were not seen; so are Laplace centres, and the scale of their gates.
        """
        if self._sees_all:
            return self
        changes = dict.fromkeys(("gate_columns", "expert_columns", "d"))
        for name in WIDE:
            changes[name] = np.zeros((len(getattr(self, name)), self.d))
            changes[name][:, self.columns(name)] = getattr(self, name)
        return self.replace(laplace_scale=self.laplace_scale, **changes)

    def narrow(self, gate_columns=None, expert_columns=None):
        """The same density, with gates and experts that see these columns only: the other way than `wide`.

        Raises
        ------
        ValueError
            If what is left out matters: slopes or a Laplace scale are not 0 there.
        """
        wide = self.wide()
        view = check_view(wide.gating, wide.d, wide.laplace_scale, gate_columns, expert_columns)
        changes = {name: getattr(wide, name) for name in WIDE}
        changes = {n: v if view[WIDE[n]] is None else v[:, list(view[WIDE[n]])] for n, v in changes.items()}
        out = wide.replace(d=wide.d, **view, **changes)
        if out.wide() != wide:
            wanted = "leave out columns with slopes, Laplace centres and scales of 0 only"
            raise ValueError(f"gate_columns and expert_columns must {wanted}; got others")
        return out

    def wide_index(self):
        """Where the entries of `to_vector` stand in that of `wide`: (p,) int, or a slice of all."""
        if self._sees_all:
            return slice(None)
        places, parts = np.arange(self.wide().n_parameters), []
        for name, where in vector_slices(self.k1, self.n_experts, self.d).items():
            part = places[where]
            parts.append(part.reshape(-1, self.d)[:, self.columns(name)].ravel() if name in WIDE else part)
        return np.concatenate(parts)

    # -- vectors ----------------------------------------------------------------------------------------------------
    def to_vector(self):
        """Unconstrained parameters: a, b, omega, beta, eta, tau, log nu, each flattened, in that order. (p,)"""
        blocks = (self.a, self.b, self.omega, self.beta, self.eta, self.tau, np.log(self.nu))
        return np.concatenate([block.ravel() for block in blocks])

    def with_vector(self, vector):
        """Return a measure of the same gating and shape at another `to_vector` point.

        Raises
        ------
        ValueError
            If the length is wrong, an entry is not finite, or a variance over- or underflows.
        """
        v = as_floats("vector", vector, (self.n_parameters,))
        parts = {name: v[where] for name, where in self.slices.items()}
        with np.errstate(over="ignore", under="ignore"):
            nu = np.exp(parts.pop("log_nu"))
        for name in WIDE:
            parts[name] = parts[name].reshape(getattr(self, name).shape)
        return self.replace(nu=nu, **parts)

    def parameter_names(self, names=None):
        """Names of the entries of `to_vector`: ``"omega[2,0]"``, ``"tau[1]"``, ``"log_nu[0]"``; indices from 0.

        The second index of ``"omega[2,0]"`` is a column of x. With `names`, d different texts, covariates go by them:
        ``"omega[2,speed]"``; others are a `ValueError`.
        """
        called, out = self._called(names) or range(self.d), []
        for name, where in self.slices.items():
            if name in WIDE:
                ends = [called[c] for c in self.columns(name)]
                out += [f"{name}[{i},{end}]" for i in range(len(getattr(self, name))) for end in ends]
            else:
                out += [f"{name}[{i}]" for i in range(where.stop - where.start)]
        return out

    def _called(self, names):
        """The names of the covariates, checked; None where there are none."""
        if names is None:
            return None
        texts = list(names) if isinstance(names, list | tuple) else []
        if len(texts) != self.d or len(set(map(str, texts))) != self.d or not all(isinstance(t, str) for t in texts):
            raise ValueError(f"names must be {self.d} different texts, one a covariate; got {shown(names, 200)}")
        return texts

    def kernel_args(self):
        """The parameters as the functions of `hmoe_stats.kernels` take them: two gate codes, offsets, arrays.

        They are those of `wide`, and the last array is the Laplace scale.

        Raises
        ------
        ValueError
            As `check`: kernels read memory by these shapes.
        """
        self.check()
        codes, G = (gate.code for gate in gates.of(self.gating)), self.wide()
        offsets = np.array([0, *accumulate(self.k2)])
        return *codes, offsets, G.a, G.b, G.omega, G.beta, G.eta, G.tau, G.nu, G.laplace_scale

    def check(self):
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
        shapes = _shapes(len(k2), sum(k2), self.d_gate, self.d_expert) | {"laplace_scale": (d,)}
        for name, shape in shapes.items():
            array = values.get(name)
            fits = type(array) is np.ndarray and array.shape == shape and array.dtype is _FLOAT
            if fits:
                flags = array.flags
                fits = flags.c_contiguous and flags.aligned and not flags.writeable
            if not fits:
                wanted = f"the read-only array of shape {shape_words(shape)} it was made"
                raise ValueError(f"{name} must be {wanted}; got {shown(array)}")
        if not all(c >= 0 for c in self.laplace_scale.tolist()):
            raise ValueError(f"laplace_scale must be at least 0; got a smallest entry of {self.laplace_scale.min():g}")
        if not all(v > 0 for v in self.nu.tolist()):
            raise ValueError(f"nu must be positive; got a smallest entry of {self.nu.min():g}")
        return self

    # -- canonical form ---------------------------------------------------------------------------------------------
    def canonical(self, support=None):
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
        MixingMeasure

        Notes
        -----
        The maps used are exact invariances of the density on the support: softmax translations, Laplace intercept
        shifts, and ``-|x - a| = -|x - high| - (a - high)`` for x <= high <= a.
        """
        low, high = _check_support(support, self.d)
        bounded = np.isfinite(low) & np.isfinite(high)
        centre = np.zeros(self.d)
        centre[bounded] = 0.5 * low[bounded] + 0.5 * high[bounded]
        (first, second), seen = self.gates, self.columns("a")
        low, high, centre = low[seen], high[seen], centre[seen]
        a, b = first.canonical(self.a, self.b, low, high, centre)
        omega, beta = np.empty_like(self.omega), np.empty_like(self.beta)
        for lo, hi in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            omega[lo:hi], beta[lo:hi] = second.canonical(self.omega[lo:hi], self.beta[lo:hi], low, high, centre)
        return self.replace(a=a, b=b, omega=omega, beta=beta)

    def __reduce__(self):
        # by the front door: pickled or copied arrays would come back writeable
        return MixingMeasure.from_dict, (self._fields(),)

    def __setstate__(self, state):
        vars(self).update(vars(MixingMeasure.from_dict(state)))

    def replace(self, **changes):
        """Return a copy with some fields changed, validated anew."""
        return MixingMeasure(**self._fields() | changes)

    def _fields(self):
        """The keywords that make this measure."""
        return {name: getattr(self, name) for name in ("gating", "k2", *ARRAYS)} | self.view

    # -- writing and comparing --------------------------------------------------------------------------------------
    def to_dict(self):
        """Plain lists and strings, ready for `json.dumps`; floats survive the round trip exactly.

        Scale and columns are left out where they are the default ones.
        """
        return {name: _plain(value) for name, value in self._fields().items()}

    @classmethod
    def from_dict(cls, values):
        """Build a measure from `to_dict` output.

        Raises
        ------
        ValueError
            If a key is missing or unknown, or a value does not fit.
        """
        names = {"gating", "k2", *ARRAYS}
        if not isinstance(values, dict) or not names <= set(values) <= {f.name for f in fields(cls)}:
            got = list(values) if isinstance(values, dict) else values
            raise ValueError(f"values must be a dict with the keys {sorted(names)}; got {shown(got)}")
        return cls(**values)

    def to_frame(self, names=None):
        """One row an expert: group, expert (within its group), then the parameters; level-1 ones are repeated.

        With `names`, d different texts, covariates go by them: ``"eta[speed]"`` instead of ``"eta_0"`` (or ``"eta"``,
        where d = 1); others are a `ValueError`.
        """
        import pandas as pd

        group, called = self.group, self._called(names)
        ends = [f"_{c}" for c in range(self.d)] if called is None else [f"[{end}]" for end in called]
        ends = [""] if called is None and self.d == 1 else ends
        columns = {"group": group, "expert": np.arange(self.n_experts) - self.offsets[group]}
        for name in ARRAYS:
            array = getattr(self, name)
            array = array[group] if name in ("a", "b") else array
            if array.ndim == 1:
                columns[name] = array
            else:
                columns |= {name + ends[c]: values for c, values in zip(self.columns(name), array.T, strict=True)}
        return pd.DataFrame(columns)

    def __eq__(self, other):
        if not isinstance(other, MixingMeasure):
            return NotImplemented
        same = all(getattr(self, name) == getattr(other, name) for name in _SHAPE)
        return same and all(np.array_equal(*pair) for pair in self._pairs(other))

    def __hash__(self):
        # + 0.0 so that -0.0 and 0.0, which compare equal, hash alike
        arrays = [(array + 0.0).tobytes() for array, _ in self._pairs(self)]
        return hash((*(getattr(self, name) for name in _SHAPE), *arrays))

    def _pairs(self, other):
        return [(getattr(self, name), getattr(other, name)) for name in (*ARRAYS, "laplace_scale")]

    def allclose(self, other, rtol=1e-9, atol=1e-12):
        """True if `other` has the same gating and shape, and equal parameters up to the tolerances of `np.allclose`."""
        other = as_measure("other", other)
        for name, value in (("rtol", rtol), ("atol", atol)):
            check_number(name, value, "a number of at least 0", lambda v: v >= 0)
        if any(getattr(self, name) != getattr(other, name) for name in _SHAPE):
            return False
        return all(np.allclose(x, y, rtol=rtol, atol=atol) for x, y in self._pairs(other))

    def to_string(self, names=None):
        """The gating, the shape and the table of `to_frame`, all of its columns: what ``print`` shows, a str."""
        table = self.to_frame(names).rename(columns=visible).to_string(line_width=LINE)
        more = "".join(f", {name}={_plain(value)}" for name, value in self.view.items() if name != "d")
        return f"MixingMeasure(gating={self.gating!r}, k2={self.k2}, d={self.d}{more})\n{table}"

    def __repr__(self):
        return self.to_string()


def as_measure(name, value):
    """Return `value` if it is a `MixingMeasure`, or the measure of a fit, else raise a `ValueError` that names it."""
    measure = value if isinstance(value, MixingMeasure) else getattr(value, "measure", None)
    if not isinstance(measure, MixingMeasure):
        raise ValueError(f"{name} must be a MixingMeasure; got {cut(type(value).__name__)}")
    return measure.check()


def as_wide(name, value):
    """As `as_measure`, written with all columns (`MixingMeasure.wide`)."""
    return as_measure(name, value).wide()


def as_seeing_all(name, value):
    """As `as_measure`; a `ValueError`, too, where gates or experts do not see all columns."""
    measure = as_measure(name, value)
    seen = {k: v for k, v in measure.view.items() if k.endswith("_columns")}
    if seen or not measure.laplace_scale.all():
        wanted = "have gates and experts that see all columns of x, as what is derived here takes the same x in both"
        got = ", ".join(f"{k} = {v}" for k, v in seen.items()) or f"laplace_scale = {measure.laplace_scale.tolist()}"
        raise ValueError(f"{name} must {wanted}; got {cut(got)} (see theory.interactions for what is left of it)")
    return measure


def check_view(gating, d, laplace_scale=1.0, gate_columns=None, expert_columns=None, names=()):
    """The Laplace scale and the columns of a model on d covariates as a `MixingMeasure` has them, else a `ValueError`.

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
    if "L" not in gating:
        if (scale != 1.0).any():
            wanted = f"1 without a Laplace gate, as in gating {gating!r}"
            raise ValueError(f"laplace_scale must be {wanted}; got {shown(laplace_scale)}")
    elif seen["gate_columns"] is not None:
        scale[np.delete(np.arange(d), seen["gate_columns"])] = 0.0
    return {"laplace_scale": _frozen(scale)} | seen


def _plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple) else value


@cache
def _ones(d):
    return _frozen(np.ones(d))


def _shapes(k1, K, d_gate, d_expert):
    """Shapes of the arrays of a measure, those first whose mistakes are told first."""
    shapes = {"eta": (K, d_expert), "a": (k1, d_gate), "b": (k1,), "omega": (K, d_gate), "beta": (K,)}
    return shapes | {"tau": (K,), "nu": (K,)}


def _frozen(array):
    """A copy that no flag makes writeable again, as it is a view on bytes; `base` shows no writeable array either."""
    return np.frombuffer(array.tobytes() or bytes(8), count=array.size).reshape(array.shape)


def vector_slices(k1, K, d_gate, d_expert=None):
    """Where each parameter sits in `MixingMeasure.to_vector`: name -> slice, in order; one d where both are one."""
    d_expert = d_gate if d_expert is None else d_expert
    sizes = {"a": k1 * d_gate, "b": k1, "omega": K * d_gate, "beta": K, "eta": K * d_expert, "tau": K, "log_nu": K}
    ends = np.cumsum(list(sizes.values()))
    return {name: slice(int(e - s), int(e)) for (name, s), e in zip(sizes.items(), ends, strict=True)}


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
