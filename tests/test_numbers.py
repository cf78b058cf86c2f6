"""What counts as a number, and what arrays, frames and shapes stand for the same argument."""

import array
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from hmoe_stats import datasets, plotting, theory
from hmoe_stats.arguments import as_floats, as_numbers, shown

LAW = hs.Uniform(-3, 3)
G = datasets.truth("C2")
X, Y = hs.sample(G, 60, x=LAW, seed=0)
FIT = hs.fit_em(X, Y, "SS", (2, 2), start=G, max_iter=3)
P2 = datasets.truth("P2")


class Polar:
    """A frame of a library that is not pandas: columns, and an array of what is in them."""

    def __init__(self, **columns):
        self.columns, self.values = list(columns), list(columns.values())

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=object).T


# -- what is a number --------------------------------------------------------------------------------------------------
NUMBERS = {
    "truths": [True, False, True],
    "integers": [1, 2**70, -3],
    "unsigned": np.array([1, 2**64 - 1], dtype=np.uint64),
    "half": np.array([1.5, 2.0], dtype=np.float16),
    "long": np.array([1.5, 1e30], dtype=np.longdouble),
    "fractions": [Fraction(1, 3), Decimal("0.1"), 2],
    "huge terms": np.array([Fraction(10**400, 10**399), 1.0], dtype=object),
    "objects": np.array([1, 2.5, np.float32(3.0), np.int8(4), True], dtype=object),
    "zero-dimensional": [np.array(1.0), np.array(2)],
    "a buffer": memoryview(array.array("d", [1.0, 2.0])),
    "an array of the standard library": array.array("i", [1, 2]),
    "a range": range(4),
    "big-endian": np.array([1.0, 2.0], dtype=">f8"),
    "strided": np.arange(8.0)[::2],
    "read-only": np.broadcast_to(1.0, 3),
    "no mask": np.ma.masked_array([1.0, 2.0]),
    "a mask of nothing": np.ma.masked_array([1.0, 2.0], mask=[False, False]),
    "a series": pd.Series([1, 2]),
    "an index": pd.Index([1.5, 2.5]),
    "nullable": pd.array([1, 2], dtype="Int64"),
    "nullable truths": pd.Series([True, False], dtype="boolean"),
    "a series of objects": pd.Series([1, 2.5], dtype=object),
    "sparse column": pd.Series(pd.arrays.SparseArray([0.0, 1.0])),
}


@pytest.mark.parametrize("value", NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_of_every_kind_are_taken_as_floats(value):
    found = as_floats("v", value, (-1,))
    assert found.dtype == np.float64
    assert found.flags.carray
    assert found.tolist() == [float(v) for v in np.asarray(value).tolist()]


def test_numbers_are_rounded_and_never_grow_infinite():
    assert as_floats("v", [2**53 + 1], (1,)) == 2.0**53
    assert as_floats("v", np.array([1 + np.finfo(np.longdouble).eps]), (1,)) == 1.0
    with pytest.raises(ValueError, match="v must have entries of at most 1e"):
        as_floats("v", [10**60], (1,))
    for huge in (np.array([np.longdouble("1e400")]), [10**400], [Fraction(10**400)], [Decimal("1e400")]):
        with pytest.raises(ValueError, match="^v must"):
            as_floats("v", huge, (1,))


def test_arrays_are_copied_or_not_as_asked():
    whole = np.arange(6.0).reshape(3, 2)
    assert as_floats("v", whole, (3, 2), copy=False) is whole
    assert not np.shares_memory(as_floats("v", whole, (3, 2)), whole)
    assert not np.shares_memory(as_numbers("v", pd.DataFrame(whole)), whole)
    assert as_numbers("v", [None, pd.NA, 1.0], missing=True).tolist()[2] == 1.0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.ma.masked_array([1.0, 2.0], mask=[0, 1]), "got 1 masked entry"),
        (np.array(["1", "2"]), "got text (<U1)"),
        ([1.0, None], "got None at [1]"),
        ([[1.0, 2.0], [3.0, "4"]], "got text (<U32)"),
        (np.array([1.0, np.datetime64("NaT")], dtype=object), "got np.datetime64('NaT'"),
        (pd.to_datetime(["2020-01-01"]), "got dates (datetime64["),
        (pd.Series(["a"], name="word"), "got text (str) in column 'word'"),
        (pd.DataFrame({"a": [1.0], "when": pd.to_datetime(["2020"])}), "in column 'when'"),
        (pd.DataFrame({"a": [1.0], ("b", 2): pd.Categorical([1])}), "got categories (category) in column ('b', 2)"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [1, "x"]}), "got text in column 'b'"),
        (pd.DataFrame({"a": [1.0], "b" * 999: ["x"]}), "...b"),
        (Polar(a=[1.0, 2.0], day=[1.0, "Monday"]), "got text in column 'day'"),
        ({1.0, 2.0}, "got set"),
        (iter([1.0]), "got list_iterator"),
        ([[1.0], [1.0, 2.0]], "got list, of which no array can be made"),
        (1.0, "must have shape (any, 2); got ()"),
        (np.zeros((3, 4)), "must have shape (any, 2); got (3, 4)"),
    ],
)
def test_messages_say_what_came_and_where(value, words):
    with pytest.raises(ValueError, match=r"^v must .*shape \(any, 2\)") as caught:
        as_floats("v", value, (-1, 2))
    if pd.__version__ < "3":
        words = words.replace("(str)", "(object)")
    assert words in str(caught.value)


def test_a_missing_number_is_located():
    rows = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, np.nan]})
    with pytest.raises(ValueError, match="^X must be finite; got 1 NaN or infinite entries, the first in column 'b'"):
        hs.predict(P2, rows)
    with pytest.raises(ValueError, match=r"^X must be finite; .* the first at \[1, 1\]"):
        hs.predict(P2, rows.to_numpy())


def test_shapes_of_thousands_of_groups_are_not_printed_in_full():
    many = (1,) * 3000
    zeros = dict.fromkeys(("a", "b", "omega", "beta", "eta", "tau"), np.zeros(3000))
    start = hs.MixingMeasure(gating="SS", k2=many, **zeros, nu=np.ones(3000))
    refusals = [
        lambda: theory.rates(G, many),
        lambda: theory.rates(start, (2, 2)),
        lambda: theory.modulus(G, many, "tau", x=LAW),
        lambda: theory.modulus(G, (3, 2), "tau", m=10**300, x=LAW),
        lambda: hs.fit_mle(X, Y, "SS", (1,), start=start),
        lambda: G.parameter_names(["q" * 10**4] * 3000),
        lambda: G.to_frame(pd.DataFrame({"a": range(100)})),
    ]
    for refused in refusals:
        with pytest.raises(ValueError, match="; got ") as caught:
            refused()
        assert len(str(caught.value)) < 300
        assert "\n" not in str(caught.value)


def test_an_entry_that_is_too_large_is_placed_and_a_number_alone_is_shown():
    frame = pd.DataFrame({"speed": [1.0, 2.0], "mass": [3.0, -1e60]})
    with pytest.raises(ValueError, match="^X must have entries of at most 1e.50 in size; got 1e.60 in column 'mass'$"):
        as_floats("X", frame, (-1, -1))
    with pytest.raises(ValueError, match=r"got 1e\+60 at \[1\]$"):
        as_floats("y", frame["mass"], (-1,))
    for bad, said in ((np.nan, "must be finite; got nan"), (-np.inf, "must be finite; got -inf")):
        with pytest.raises(ValueError, match=f"^low {said}$"):
            hs.Uniform(bad, 5.0)
    with pytest.raises(ValueError, match="got a number beyond the floats$"):
        hs.Uniform(10**400, 5.0)


def test_what_came_is_never_written_out():
    class Loud:
        def __repr__(self):
            raise MemoryError("all of it")

    for value in (np.arange(10**6), pd.DataFrame(np.ones((99, 99))), ["x" * 10**6] * 10**5, 10**5000, Loud(), [Loud()]):
        assert len(shown(value)) <= 80
    assert shown(np.zeros((3, 2))) == "ndarray of shape (3, 2)"
    assert shown(("SS", 1.5, None)) == "('SS', 1.5, None)"


# -- rows --------------------------------------------------------------------------------------------------------------
TAKE_ROWS = {
    "log_likelihood": lambda X, y: hs.log_likelihood(G, X, y),
    "fit_mle": lambda X, y: hs.fit_mle(X, y, "SS", 1, n_starts=1).log_likelihood,
    "fit_em": lambda X, y: hs.fit_em(X, y, "SS", 1, max_iter=2).log_likelihood,
    "split_information": lambda X, y: theory.split_information(G, X, y).eigenvalues[0],
    "fit_plot": lambda X, y: len(plotting.fit_plot(G, X, y).lines),
    "fit_rate": lambda X, y: hs.fit_rate(np.abs(X) * 0 + 10.0 ** (1 + np.arange(60) % 2), y**2 + 1.0).slope,
}


@pytest.mark.parametrize("take", TAKE_ROWS.values(), ids=TAKE_ROWS.keys())
def test_pandas_objects_of_different_indices_are_refused(take):
    x, y = pd.Series(X[:, 0]), pd.Series(Y)
    with pytest.raises(ValueError, match=r"^(y|errors) must have the index of (X|n), .*\.to_numpy\(\)"):
        take(x, y.iloc[::-1])
    with pytest.raises(ValueError, match="must have the index of"):
        take(x, y.set_axis(range(1, 61)))
    want = take(x.to_numpy(), y.to_numpy())
    labels = [f"row {i}" for i in range(60)]
    assert take(x.set_axis(labels), y.set_axis(labels)) == want
    assert take(x, y.set_axis(labels).to_numpy()) == want


def test_frames_and_series_of_different_indices_are_refused():
    rows = pd.DataFrame({"x": X[:, 0]}, index=range(60, 0, -1))
    with pytest.raises(ValueError, match="^y must have the index of X"):
        hs.score(G, rows, pd.DataFrame({"y": Y}))
    n = pd.Series([10.0, 10.0, 99.0, 99.0])
    with pytest.raises(ValueError, match="^second must have the index of n"):
        hs.compare_rates(n, n**-0.5, (n**-0.5).iloc[::-1])


@pytest.mark.parametrize("write", [lambda y: y[:, None], lambda y: y[:, None].tolist(), lambda y: pd.DataFrame({0: y})])
def test_a_column_of_responses_is_its_entries(write):
    assert hs.log_likelihood(G, X, write(Y)) == hs.log_likelihood(G, X, Y)
    np.testing.assert_array_equal(hs.score(G, X[:, 0], write(Y)), hs.score(G, X, Y))
    assert hs.fit_em(X, write(Y), "SS", (2, 2), start=G, max_iter=3).measure == FIT.measure
    with pytest.raises(ValueError, match="^y must have as many entries"):
        hs.log_likelihood(G, X, write(Y)[:1])
    with pytest.raises(ValueError, match=r"^y must have shape \(any,\); got \(60, 2\)"):
        hs.log_likelihood(G, X, np.column_stack([Y, Y]))


# -- models ------------------------------------------------------------------------------------------------------------
def refusal(call):
    """What is said of another argument, once the measure is taken: certificates take minutes."""
    with pytest.raises(ValueError, match="^(m|cell|k2) must .*2, 2") as caught:
        call()
    return str(caught.value)


ASK_MEASURES = {
    "log_density": lambda H: hs.log_density(H, X, Y),
    "log_likelihood": lambda H: hs.log_likelihood(H, X, Y),
    "responsibilities": lambda H: hs.responsibilities(H, X, Y),
    "gate_weights": lambda H: hs.gate_weights(H, X),
    "predict": lambda H: hs.predict(H, X),
    "score": lambda H: hs.score(H, X, Y),
    "information": lambda H: hs.information(H, X, Y),
    "sample": lambda H: hs.sample(H, 5, x=LAW, seed=0)[1],
    "parameter_errors": lambda H: hs.parameter_errors(H, G, x=LAW)["error"],
    "parameter_errors of a truth": lambda H: hs.parameter_errors(G, H, x=LAW)["error"],
    "voronoi_loss": lambda H: hs.voronoi_loss(H, G, x=LAW),
    "voronoi_loss of a truth": lambda H: hs.voronoi_loss(G, H, x=LAW),
    "hellinger": lambda H: hs.hellinger(H, G, x=LAW),
    "total_variation": lambda H: hs.total_variation(G, H, x=LAW),
    "chi_square": lambda H: hs.chi_square(H, G, x=X),
    "diagnose": lambda H: hs.diagnose(H, x=LAW).to_frame()["number"],
    "rates": lambda H: theory.rates(H, (3, 2))["kappa"],
    "interactions": lambda H: theory.interactions(H, 1, LAW).gram,
    "split_information": lambda H: theory.split_information(H, X, Y).apart,
    "modulus": lambda H: refusal(lambda: theory.modulus(H, (3, 2), x=LAW, m=7)),
    "certificates": lambda H: refusal(lambda: list(theory.certificates(H, (3, 2), LAW, cell=(7, 7)))),
    "certify": lambda H: refusal(lambda: theory.certify(H, (1, 1), LAW)),
    "fit_plot": lambda H: plotting.fit_plot(H, X, Y).lines[0].get_ydata(),
    "fit_mle": lambda H: hs.fit_mle(X, Y, "SS", (2, 2), start=H, n_starts=1, max_iter=3).measure.to_vector(),
    "fit_em": lambda H: hs.fit_em(X, Y, "SS", (2, 2), start=H, max_iter=2).measure.to_vector(),
    "allclose": lambda H: G.allclose(H, rtol=1e9),
}  # fmt: skip


@pytest.mark.parametrize("ask", ASK_MEASURES.values(), ids=ASK_MEASURES.keys())
def test_a_fit_stands_for_its_measure(ask):
    np.testing.assert_array_equal(ask(FIT), ask(FIT.measure))


@pytest.mark.parametrize("gating", ["ll", "Ll", " LL ", np.str_("lL")])
def test_gatings_are_read_in_any_case(gating):
    truth = datasets.truth("C4", gating)
    assert truth == datasets.truth("C4", "LL")
    assert type(truth.gating) is str
    assert G.replace(gating=gating).gating == "LL"
    one, other = (hs.fit_em(X, Y, letters, (2,), max_iter=2) for letters in (gating, "LL"))
    assert one.measure == other.measure
    pd.testing.assert_frame_equal(theory.rates(G, (3, 2), gating=gating), theory.rates(G, (3, 2), gating="LL"))


@pytest.mark.parametrize("k2", [2, np.int8(2), np.array(2), np.array([2]), [2.0], range(2, 3), pd.Series(2)], ids=repr)
def test_shapes_are_read_from_any_integers(k2):
    found = hs.fit_em(X, Y, "SS", k2, max_iter=2).measure
    assert found.k2 == (2,)
    assert type(found.k2[0]) is int
    assert found.replace(k2=k2) == found
    flat = datasets.truth("C4").replace(k2=2, a=[0.0], b=[0.0])
    pd.testing.assert_frame_equal(theory.rates(flat, 3), theory.rates(flat, (3,)))
    assert repr(hs.diagnose(flat, 3)) == repr(hs.diagnose(flat, (3,)))
