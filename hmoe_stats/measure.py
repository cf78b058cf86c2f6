"""The mixing measure: the parameters of a two-level Gaussian hierarchical mixture of experts.

The model, for a response y in R and covariates x in R^d, is

    p_G(y | x) = sum_i g_i(x) sum_{j in group i} g_{j|i}(x) N(y | eta_j' x + tau_j, nu_j),

    g_i(x)     = softmax_i( s1(x, a_i) + b_i ),
    g_{j|i}(x) = softmax_j( s2(x, omega_j) + beta_j )  within group i,

with s(x, a) = a' x (softmax gating, letter S), s(x, a) = -||a - x|| (Laplace gating, letter L) or s(x, a) = a' (x^2),
squares entry by entry (quadratic monomial gating, letter Q). `MixingMeasure` holds these parameters, maps them to and
from unconstrained vectors, and writes them in a canonical form.
"""

from dataclasses import dataclass, fields
from itertools import accumulate

import numpy as np

from . import gates
from .arguments import as_floats, as_numbers, check_gating, check_k2, check_number, cut, shape_words, shown
from .names import visible

LINE = 120  # characters of a printed line: wider tables are printed in blocks of columns

_FLOAT = np.dtype(np.float64)


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

    Where d = 1, ``a``, ``omega`` and ``eta`` may be given as one-dimensional arrays.

    Raises
    ------
    ValueError
        If a shape does not fit, an entry is not finite, a variance is not positive or the gating is unknown.
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

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731 - the frozen way in
        put("gating", check_gating(self.gating))
        put("k2", check_k2(self.k2))
        k1, K = len(self.k2), sum(self.k2)
        eta = as_floats("eta", self.eta, (K, -1), copy=False)
        d = eta.shape[1]
        if d < 1:
            raise ValueError("eta must have at least one column (d >= 1); got none")
        for name, shape in _shapes(k1, K, d).items():
            put(name, _frozen(as_floats(name, getattr(self, name), shape, copy=False)))
        if self.nu.min() <= 0:
            raise ValueError(f"nu (expert variances) must be positive; got a smallest entry of {self.nu.min():g}")

    # -- shape ------------------------------------------------------------------------------------------------------
    @property
    def k1(self):
        """Number of groups."""
        return len(self.k2)

    @property
    def d(self):
        """Number of covariates."""
        return self.eta.shape[1]

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
        return self.k1 * (self.d + 1) + self.n_experts * (2 * self.d + 3)

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
        parts = {name: v[where] for name, where in vector_slices(self.k1, self.n_experts, self.d).items()}
        with np.errstate(over="ignore", under="ignore"):
            nu = np.exp(parts.pop("log_nu"))
        for name in ("a", "omega", "eta"):
            parts[name] = parts[name].reshape(-1, self.d)
        return MixingMeasure(gating=self.gating, k2=self.k2, nu=nu, **parts)

    def parameter_names(self, names=None):
        """Names of the entries of `to_vector`: ``"omega[2,0]"``, ``"tau[1]"``, ``"log_nu[0]"``; indices from 0.

        With `names`, d different texts, covariates go by them: ``"omega[2,speed]"``; others are a `ValueError`.
        """
        columns, out = self._columns(names) or range(self.d), []
        for name, where in vector_slices(self.k1, self.n_experts, self.d).items():
            size = where.stop - where.start
            wide = name in ("a", "omega", "eta")
            out += [f"{name}[{i // self.d},{columns[i % self.d]}]" if wide else f"{name}[{i}]" for i in range(size)]
        return out

    def _columns(self, names):
        """The names of the covariates, checked; None where there are none."""
        if names is None:
            return None
        texts = list(names) if isinstance(names, list | tuple) else []
        if len(texts) != self.d or len(set(map(str, texts))) != self.d or not all(isinstance(t, str) for t in texts):
            raise ValueError(f"names must be {self.d} different texts, one a covariate; got {str(names)[:200]}")
        return texts

    def kernel_args(self):
        """The parameters as the functions of `hmoe_stats.kernels` take them: two gate codes, offsets, arrays.

        Raises
        ------
        ValueError
            As `check`: kernels read memory by these shapes.
        """
        self.check()
        codes = (gate.code for gate in gates.of(self.gating))
        offsets = np.array([0, *accumulate(self.k2)])
        return *codes, offsets, self.a, self.b, self.omega, self.beta, self.eta, self.tau, self.nu

    def check(self):
        """Return the measure itself if it is as it was made, else raise a `ValueError`.

        Attributes can be set by force (``object.__setattr__``), and then need not fit each other.
        """
        values = vars(self)
        gating, k2, eta = values.get("gating"), values.get("k2"), values.get("eta")
        if type(gating) is not str or gating not in gates.GATINGS:
            raise ValueError(f"gating must be what it was made; got {shown(gating)}")
        if type(k2) is not tuple or set(map(type, k2)) != {int} or min(k2) < 1:
            raise ValueError(f"k2 must be the tuple of positive integers it was made; got {shown(k2)}")
        d = eta.shape[1] if type(eta) is np.ndarray and eta.ndim == 2 and eta.shape[1] else -1
        shapes = _shapes(len(k2), sum(k2), d)
        for name in ("eta", "a", "b", "omega", "beta", "tau", "nu"):  # eta says what d is
            array, shape = values.get(name), shapes[name]
            fits = type(array) is np.ndarray and array.shape == shape and array.dtype is _FLOAT
            if fits:
                flags = array.flags
                fits = flags.c_contiguous and flags.aligned and not flags.writeable
            if not fits:
                wanted = f"the read-only array of shape {shape_words(shape)} it was made"
                raise ValueError(f"{name} must be {wanted}; got {shown(array)}")
        if not all(v > 0 for v in self.nu.tolist()):
            raise ValueError(f"nu must be positive; got a smallest entry of {self.nu.min():g}")
        return self

    # -- canonical form ---------------------------------------------------------------------------------------------
    def canonical(self, support=None):
        """Return the same density written in canonical form; labels are kept.

        Softmax and quadratic intercepts are normalised so that exp(scores) sum to one at the centre of the support, and
        slopes are centred with those weights; exponentials of Laplace intercepts sum to one; for d = 1 Laplace centres
        outside the support are clipped to its edge, the excess moved into the intercepts. A gate whose answer does not
        depend on its centres (one component, or all centres equal) has them put at the centre of the support.

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
        first, second = gates.of(self.gating)
        a, b = first.canonical(self.a, self.b, low, high, centre)
        omega, beta = np.empty_like(self.omega), np.empty_like(self.beta)
        for lo, hi in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            omega[lo:hi], beta[lo:hi] = second.canonical(self.omega[lo:hi], self.beta[lo:hi], low, high, centre)
        return self.replace(a=a, b=b, omega=omega, beta=beta)

    def __reduce__(self):
        # by the front door: pickled or copied arrays would come back writeable
        return MixingMeasure.from_dict, ({f.name: getattr(self, f.name) for f in fields(self)},)

    def __setstate__(self, state):
        vars(self).update(vars(MixingMeasure.from_dict(state)))

    def replace(self, **changes):
        """Return a copy with some fields changed, validated anew."""
        return MixingMeasure(**({f.name: getattr(self, f.name) for f in fields(self)} | changes))

    # -- writing and comparing --------------------------------------------------------------------------------------
    def to_dict(self):
        """Plain lists and strings, ready for `json.dumps`; floats survive the round trip exactly."""
        out = {"gating": self.gating, "k2": list(self.k2)}
        return out | {f.name: getattr(self, f.name).tolist() for f in fields(self)[2:]}

    @classmethod
    def from_dict(cls, values):
        """Build a measure from `to_dict` output.

        Raises
        ------
        ValueError
            If a key is missing or unknown, or a value does not fit.
        """
        names = {f.name for f in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            got = list(values) if isinstance(values, dict) else values
            raise ValueError(f"values must be a dict with the keys {sorted(names)}; got {shown(got)}")
        return cls(**values)

    def to_frame(self, names=None):
        """One row an expert: group, expert (within its group), then the parameters; level-1 ones are repeated.

        With `names`, d different texts, covariates go by them: ``"eta[speed]"`` instead of ``"eta_0"`` (or ``"eta"``,
        where d = 1); others are a `ValueError`.
        """
        import pandas as pd

        group, ends = self.group, self._columns(names)
        ends = [""] if ends is None and self.d == 1 else ends and [f"[{end}]" for end in ends]
        ends = ends or [f"_{c}" for c in range(self.d)]
        columns = {"group": group, "expert": np.arange(self.n_experts) - self.offsets[group]}
        for f in fields(self)[2:]:
            array = getattr(self, f.name)
            array = array[group] if f.name in ("a", "b") else array
            if array.ndim == 1:
                columns[f.name] = array
            else:
                columns |= {f.name + end: array[:, c] for c, end in enumerate(ends)}
        return pd.DataFrame(columns)

    def __eq__(self, other):
        if not isinstance(other, MixingMeasure):
            return NotImplemented
        same = self.gating == other.gating and self.k2 == other.k2 and self.d == other.d
        return same and all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)[2:])

    def __hash__(self):
        # + 0.0 so that -0.0 and 0.0, which compare equal, hash alike
        arrays = [(getattr(self, f.name) + 0.0).tobytes() for f in fields(self)[2:]]
        return hash((self.gating, self.k2, *arrays))

    def allclose(self, other, rtol=1e-9, atol=1e-12):
        """True if `other` has the same gating and shape, and equal parameters up to the tolerances of `np.allclose`."""
        other = as_measure("other", other)
        for name, value in (("rtol", rtol), ("atol", atol)):
            check_number(name, value, "a number of at least 0", lambda v: v >= 0)
        if self.gating != other.gating or self.k2 != other.k2 or self.d != other.d:
            return False
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self)[2:])
        return all(np.allclose(x, y, rtol=rtol, atol=atol) for x, y in pairs)

    def to_string(self, names=None):
        """The gating, the shape and the table of `to_frame`, all of its columns: what ``print`` shows, a str."""
        table = self.to_frame(names).rename(columns=visible).to_string(line_width=LINE)
        return f"MixingMeasure(gating={self.gating!r}, k2={self.k2}, d={self.d})\n{table}"

    def __repr__(self):
        return self.to_string()


def as_measure(name, value):
    """Return `value` if it is a `MixingMeasure`, or the measure of a fit, else raise a `ValueError` that names it."""
    measure = value if isinstance(value, MixingMeasure) else getattr(value, "measure", None)
    if not isinstance(measure, MixingMeasure):
        raise ValueError(f"{name} must be a MixingMeasure; got {cut(type(value).__name__)}")
    return measure.check()


def _shapes(k1, K, d):
    return {"a": (k1, d), "b": (k1,), "omega": (K, d), "beta": (K,), "eta": (K, d), "tau": (K,), "nu": (K,)}


def _frozen(array):
    """A copy that no flag makes writeable again, as it is a view on bytes; `base` shows no writeable array either."""
    return np.frombuffer(array.tobytes()).reshape(array.shape)


def vector_slices(k1, K, d):
    """Where each parameter sits in `MixingMeasure.to_vector`: name -> slice, in order."""
    sizes = {"a": k1 * d, "b": k1, "omega": K * d, "beta": K, "eta": K * d, "tau": K, "log_nu": K}
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
