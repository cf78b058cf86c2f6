"""The mixing measure: validation, immutability, vectors, writing, comparing and the canonical form."""

import copy
import dataclasses
import json
import pickle

import naive
import numpy as np
import pytest
from conftest import scale
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

import hmoe_stats as hs
from hmoe_stats.gates import GATINGS

FIELDS = ("a", "b", "omega", "beta", "eta", "tau", "nu")
gatings = pytest.mark.parametrize("gating", GATINGS)


def fields_of(k2=(1, 2), d=2, gating="SL"):
    """Plain valid arguments, every number different."""
    k1, K = len(k2), sum(k2)
    shapes = {"a": (k1, d), "b": (k1,), "omega": (K, d), "beta": (K,), "eta": (K, d), "tau": (K,), "nu": (K,)}
    out, start = {"gating": gating, "k2": k2}, 1.0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        out[name] = np.arange(start, start + size).reshape(shape) / 4
        start += size
    return out


# -- validation -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", ["", "S", "S S", "SLL", "XY", None, 3, ("S", "L"), b"SS", np.array(["SS", "LL"])])
def test_bad_gating(gating):
    with pytest.raises(ValueError, match=rf"^gating must be one of {', '.join(GATINGS)}; got "):
        hs.MixingMeasure(**fields_of() | {"gating": gating})


@pytest.mark.parametrize(
    "k2",
    [
        (),
        (0, 3),
        (-1, 4),
        (1.5, 1.5),
        0,
        True,
        None,
        "12",
        ("a",),
        (1, None),
        (float("nan"), 3),
        (float("inf"), 1),
        ((1,), 2),
    ],
    ids=repr,
)
def test_bad_k2(k2):
    with pytest.raises(ValueError, match=r"^k2 must be a sequence of positive integers, one a group; got "):
        hs.MixingMeasure(**fields_of() | {"k2": k2})


@pytest.mark.parametrize("k2", [[1, 2], (1.0, 2.0), np.array([1, 2]), (np.int32(1), np.int64(2))], ids=repr)
def test_k2_of_any_integers_becomes_a_tuple_of_int(k2):
    G = hs.MixingMeasure(**fields_of() | {"k2": k2})
    assert G.k2 == (1, 2)
    assert all(type(size) is int for size in G.k2)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("spoil", ["nan", "inf", "short", "long", "wide", "scalar", "three axes", "words", "none"])
def test_a_bad_field_is_named(name, spoil):
    values = fields_of()
    good = values[name]
    bad = good.copy()
    if spoil in ("nan", "inf"):
        bad.flat[-1] = np.nan if spoil == "nan" else -np.inf
    bad = {
        "nan": bad,
        "inf": bad,
        "short": good[:-1],
        "long": np.concatenate([good, good[:1]]),
        "wide": np.stack([good] * 3, axis=-1).reshape(len(good), -1),
        "scalar": 1.0,
        "three axes": good[..., None, None],
        "words": np.full(good.shape, "word"),
        "none": None,
    }[spoil]
    # A wider eta is a larger d: then the first slope of another width is the one that does not fit.
    named = "a" if (name, spoil) == ("eta", "wide") else name
    with pytest.raises(ValueError, match=rf"^{named} must .*; got ") as caught:
        hs.MixingMeasure(**values | {name: bad})
    if spoil in ("nan", "inf"):
        assert "1 NaN or infinite entries" in str(caught.value)


@pytest.mark.parametrize("smallest", [0.0, -1.0, -0.0])
def test_variances_must_be_positive(smallest):
    with pytest.raises(ValueError, match=r"^nu .* must be positive; got a smallest entry of -?[01]"):
        hs.MixingMeasure(**fields_of() | {"nu": [1.0, smallest, 2.0]})


def test_no_covariate_and_positional_arguments_are_refused():
    values = fields_of()
    with pytest.raises(ValueError, match=r"^eta must have at least one column"):
        hs.MixingMeasure(**values | {name: np.zeros((len(values[name]), 0)) for name in ("a", "omega", "eta")})
    with pytest.raises(TypeError):
        hs.MixingMeasure(*values.values())
    with pytest.raises(TypeError, match="nu"):
        hs.MixingMeasure(**{name: value for name, value in values.items() if name != "nu"})


# -- shape and immutability -------------------------------------------------------------------------------------------
def test_shape():
    G = hs.MixingMeasure(**fields_of((1, 3, 2), d=2))
    assert (G.k1, G.d, G.n_experts) == (3, 2, 6)
    assert G.group.tolist() == [0, 1, 1, 1, 2, 2]
    assert G.offsets.tolist() == [0, 1, 4, 6]
    assert G.n_parameters == 3 * 2 + 3 + 6 * 2 + 6 + 6 * 2 + 6 + 6


def test_one_covariate_may_be_given_as_vectors():
    values = fields_of((2, 2), d=1)
    flat = values | {name: values[name][:, 0].tolist() for name in ("a", "omega", "eta")}
    G = hs.MixingMeasure(**flat)
    assert G == hs.MixingMeasure(**values)
    assert G.a.shape == (2, 1)
    assert G.omega.shape == G.eta.shape == (4, 1)


def test_immutable_and_apart_from_its_input():
    values = fields_of()
    G = hs.MixingMeasure(**values)
    for name in FIELDS:
        kept = getattr(G, name).copy()
        assert getattr(G, name).dtype == np.float64
        assert getattr(G, name).flags.c_contiguous
        values[name] += 1.0
        np.testing.assert_array_equal(getattr(G, name), kept)
        with pytest.raises(ValueError, match="read-only"):
            getattr(G, name)[0] = 5.0
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(G, name, kept)
    with pytest.raises(dataclasses.FrozenInstanceError):
        G.gating = "SS"
    vector = G.to_vector()
    vector[:] = 0.0
    assert not np.array_equal(G.to_vector(), vector)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda G: pickle.loads(pickle.dumps(G))])
def test_copies_are_equal_and_as_immutable(clone):
    """Measures travel to worker processes by pickle, which must not hand back writeable parameters."""
    G = hs.MixingMeasure(**fields_of())
    H = clone(G)
    assert G == H
    assert hash(G) == hash(H)
    assert not any(getattr(H, name).flags.writeable for name in FIELDS)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("write", [np.asarray, np.ndarray.tolist, np.asfortranarray, lambda a: a[:, 0]])
def test_no_array_leads_back_to_a_writeable_one(d, write):
    values = fields_of(d=d)
    wide = ("a", "omega", "eta")
    flat = (lambda a: write(a) if a.shape[1] == 1 else np.asarray(a)) if d == 2 else write
    G = hs.MixingMeasure(**values | {name: flat(values[name]) for name in wide})
    for H in (G, G.replace(b=[1.0, 2.0]), G.with_vector(G.to_vector()), G.canonical(), pickle.loads(pickle.dumps(G))):
        for name in FIELDS:
            here = getattr(H, name)
            while isinstance(here, np.ndarray):
                assert not here.flags.writeable
                with pytest.raises(ValueError, match="WRITEABLE"):
                    here.setflags(write=True)
                here = here.base
    for fresh in (G.to_vector, lambda: G.offsets, lambda: G.group, lambda: G.kernel_args()[2]):
        fresh()[:] = 7
        assert not np.array_equal(fresh(), np.full(fresh().size, 7))


FORCED = {
    "more experts": {"k2": (2, 2)},
    "far more experts": {"k2": (1, 10**9)},
    "fewer experts": {"k2": (1, 1)},
    "no group": {"k2": ()},
    "a list of sizes": {"k2": [1, 2]},
    "float sizes": {"k2": (1.0, 2.0)},
    "sizes that cancel": {"k2": (4, -1)},
    "no size": {"k2": None},
    "another gate": {"gating": "SX"},
    "three gates": {"gating": "SSS"},
    "lower case": {"gating": "sl"},
    "array of gates": {"gating": np.array(["SS", "LL"])},
    "short": {"tau": np.zeros(2)},
    "narrow": {"omega": np.zeros((3, 1))},
    "wide slopes": {"eta": np.zeros((3, 3))},
    "no column": {"eta": np.zeros((3, 0))},
    "flat": {"a": np.zeros(2)},
    "no array": {"b": [0.0, 0.0]},
    "nothing": {"beta": None},
    "single precision": {"tau": np.zeros(3, dtype=np.float32)},
    "integers": {"tau": np.zeros(3, dtype=int)},
    "big-endian": {"tau": np.zeros(3, dtype=">f8")},
    "columns first": {"eta": np.asfortranarray(np.zeros((3, 2)))},
    "strided": {"tau": np.zeros(6)[::2]},
    "masked": {"tau": np.ma.masked_array(np.zeros(3), mask=[0, 1, 0])},
    "no variance": {"nu": np.array([1.0, 0.0, 1.0])},
    "a negative variance": {"nu": np.array([1.0, -1.0, 1.0])},
    "an unknown variance": {"nu": np.array([np.nan, 1.0, 1.0])},
}
ASK = (
    lambda G, X: hs.log_likelihood(G, X, X[:, 0]),
    lambda G, X: hs.information(G, X, X[:, 0]),
    hs.gate_weights,
    hs.predict,
    lambda G, X: hs.sample(G, 5, x=X, seed=0),
    lambda G, X: hs.hellinger(G, G, x=X),
    lambda G, X: hs.parameter_errors(G, G, x=X),
    lambda G, X: hs.diagnose(G, x=X),
    lambda G, X: hs.fit_em(X, X[:, 0], "SL", (1, 2), start=G),
    lambda G, X: G.kernel_args(),
)


@pytest.mark.parametrize("forced", FORCED.values(), ids=FORCED.keys())
def test_a_measure_changed_by_force_reaches_no_kernel(rng, forced):
    """Kernels read memory by the shapes that a measure states: one that lies would make them read beyond it."""
    X = rng.normal(size=(40, 2))
    for value in forced.values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    (name,) = forced
    G, H = (hs.MixingMeasure(**fields_of()) for _ in range(2))
    object.__setattr__(G, name, forced[name])
    vars(H).update(forced)
    for changed in (G, H):
        for ask in ASK:
            with pytest.raises(ValueError, match=rf"^({name}|a|eta) must be "):  # the one that no longer fits
                ask(changed, X)


@pytest.mark.parametrize("forced", [case for case in FORCED.values() if "k2" in case or "nu" in case])
def test_a_measure_changed_by_force_is_not_unpickled(forced):
    G = hs.MixingMeasure(**fields_of())
    state = vars(G) | forced
    if forced.get("k2") not in ([1, 2], (1.0, 2.0)):  # which are the same sizes, written otherwise
        with pytest.raises(ValueError, match=r" must "):
            hs.MixingMeasure.__new__(hs.MixingMeasure).__setstate__(state)
        vars(G).update(forced)
        with pytest.raises(ValueError, match=r" must "):
            pickle.loads(pickle.dumps(G))
    with pytest.raises(ValueError, match="^gating must"):
        hs.MixingMeasure.__new__(hs.MixingMeasure).kernel_args()


def test_a_state_becomes_a_measure_by_the_front_door():
    G, H = hs.MixingMeasure(**fields_of()), hs.MixingMeasure.__new__(hs.MixingMeasure)
    H.__setstate__({name: getattr(value, "tolist", lambda v=value: v)() for name, value in vars(G).items()})
    assert H == G
    assert H.kernel_args()[3] is H.a


def test_replace_changes_what_it_names_and_validates():
    G = hs.MixingMeasure(**fields_of())
    H = G.replace(tau=G.tau + 1.0, gating="LL")
    assert H.gating == "LL"
    np.testing.assert_array_equal(H.tau, G.tau + 1.0)
    assert H.replace(tau=G.tau, gating="SL") == G
    with pytest.raises(ValueError, match=r"^tau must have shape \(3,\); got \(2,\)"):
        G.replace(tau=[1.0, 2.0])
    with pytest.raises(TypeError, match="sigma"):
        G.replace(sigma=1.0)


# -- vectors ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("d", [1, 2, 3])
def test_vector_order_and_names(d):
    G = hs.MixingMeasure(**fields_of((1, 2), d=d))
    want, names = [], []
    for field in FIELDS:
        array = np.log(G.nu) if field == "nu" else getattr(G, field)
        label = "log_nu" if field == "nu" else field
        for index in np.ndindex(array.shape):
            want.append(array[index])
            names.append(f"{label}[{','.join(map(str, index))}]")
    np.testing.assert_array_equal(G.to_vector(), want)
    assert G.parameter_names() == names
    assert len(names) == len(set(names)) == G.n_parameters


@gatings
@pytest.mark.parametrize("d", [1, 3])
def test_vector_round_trip(rng, gating, d):
    G = naive.random_measure(rng, gating, (1, 3, 2), d)
    H = G.with_vector(G.to_vector())
    assert all(np.array_equal(getattr(G, name), getattr(H, name)) for name in FIELDS[:-1])
    np.testing.assert_allclose(H.nu, G.nu, rtol=1e-15)
    assert (H.gating, H.k2) == (G.gating, G.k2)
    v = rng.normal(size=G.n_parameters)
    np.testing.assert_allclose(G.with_vector(v.tolist()).to_vector(), v, rtol=1e-14, atol=1e-15)


def test_bad_vectors():
    G = hs.MixingMeasure(**fields_of())
    v = G.to_vector()
    for bad in (v[:-1], np.append(v, 0.0), 1.0, None, v[:, None]):
        with pytest.raises(ValueError, match=r"^vector must .*; got "):
            G.with_vector(bad)
    v[3] = np.nan
    with pytest.raises(ValueError, match=r"^vector must be finite; got 1 NaN"):
        G.with_vector(v)
    for log_nu in (800.0, -800.0):
        v = G.to_vector()
        v[-1] = log_nu
        with pytest.raises(ValueError, match=r"^nu .*must be (finite|positive)"):
            G.with_vector(v)


# -- writing and comparing --------------------------------------------------------------------------------------------
finite = st.floats(-1e50, 1e50)
positive = st.floats(5e-324, 1e50)


@given(st.lists(finite, min_size=14, max_size=14), st.lists(positive, min_size=2, max_size=2))
def test_json_round_trip_is_exact(numbers, nu):
    x = np.array(numbers)
    G = hs.MixingMeasure(
        gating="LS", k2=(1, 1), a=x[:2], b=x[2:4], omega=x[4:6], beta=x[6:8], eta=x[8:10], tau=x[10:12], nu=nu
    )
    H = hs.MixingMeasure.from_dict(json.loads(json.dumps(G.to_dict())))
    assert G == H
    assert all(getattr(G, name).tobytes() == getattr(H, name).tobytes() for name in FIELDS)


@pytest.mark.parametrize("d", [1, 2])
def test_dict_holds_plain_values(d):
    values = fields_of((1, 2), d=d)
    plain = hs.MixingMeasure(**values).to_dict()
    assert list(plain) == ["gating", "k2", *FIELDS]
    assert plain["k2"] == [1, 2]
    assert all(plain[name] == values[name].tolist() for name in FIELDS)
    good = hs.MixingMeasure.from_dict(plain)
    for bad in (plain | {"sigma": 1}, {k: v for k, v in plain.items() if k != "nu"}, {}, [], None, "text"):
        with pytest.raises(ValueError, match=r"^values must be a dict with the keys .*'omega'.*; got "):
            good.from_dict(bad)
    with pytest.raises(ValueError, match=r"^beta must have shape"):
        good.from_dict(plain | {"beta": [1.0]})


def test_frame():
    G = hs.MixingMeasure(**fields_of((1, 2), d=1))
    frame = G.to_frame()
    assert list(frame) == ["group", "expert", *FIELDS]
    assert frame["group"].tolist() == [0, 1, 1]
    assert frame["expert"].tolist() == [0, 0, 1]
    assert frame["b"].tolist() == [G.b[0], G.b[1], G.b[1]]
    assert frame["a"].tolist() == [G.a[0, 0], G.a[1, 0], G.a[1, 0]]
    for name in FIELDS[2:]:
        assert frame[name].tolist() == getattr(G, name).ravel().tolist()
    G = hs.MixingMeasure(**fields_of((1, 2), d=2))
    frame = G.to_frame()
    slopes = {name: [f"{name}_0", f"{name}_1"] for name in ("a", "omega", "eta")}
    assert list(frame) == ["group", "expert"] + sum((slopes.get(name, [name]) for name in FIELDS), [])
    np.testing.assert_array_equal(frame[["eta_0", "eta_1"]], G.eta)
    np.testing.assert_array_equal(frame[["a_0", "a_1"]], G.a[G.group])


def test_repr_tells_what_it_is():
    text = repr(hs.MixingMeasure(**fields_of((1, 2), d=2)))
    assert text.startswith("MixingMeasure(gating='SL', k2=(1, 2), d=2)")
    assert "omega_1" in text


@pytest.mark.parametrize("name", FIELDS)
def test_equality_sees_the_last_bit_of_every_field(name):
    G = hs.MixingMeasure(**fields_of())
    array = getattr(G, name).copy()
    array.flat[-1] = np.nextafter(array.flat[-1], np.inf)
    H = G.replace(**{name: array})
    assert G != H
    assert hash(G) != hash(H)
    assert G.allclose(H)
    array.flat[-1] += 1e-6
    assert not G.allclose(G.replace(**{name: array}))
    assert G.allclose(G.replace(**{name: array}), rtol=1e-5)


def test_equality_sees_shape_and_type():
    G = hs.MixingMeasure(**fields_of((1, 2), d=1))
    same = hs.MixingMeasure(**fields_of((1, 2), d=1))
    assert G == same
    assert len({G, same}) == 1
    others = [G.replace(gating="SS"), G.replace(k2=(2, 1)), hs.MixingMeasure(**fields_of((1, 2), d=2))]
    for other in others:
        assert G != other
        assert not G.allclose(other)
    assert len({G, *others}) == 4
    assert G != "a measure"
    assert G != G.to_dict()
    with pytest.raises(ValueError, match=r"^other must be a MixingMeasure; got dict"):
        G.allclose(G.to_dict())


def test_equal_measures_hash_alike_at_both_zeros():
    G = hs.MixingMeasure(**fields_of() | {"b": [0.0, 1.0]})
    H = G.replace(b=[-0.0, 1.0])
    assert G == H
    assert hash(G) == hash(H)


# -- canonical form ---------------------------------------------------------------------------------------------------
SUPPORTS = {
    "none": (1, None),
    "symmetric": (1, (-3.0, 3.0)),
    "to one side": (1, (0.5, 1.5)),
    "far": (1, (100.0, 104.0)),
    "arrays": (3, (np.array([-1.0, 0.0, 2.0]), np.array([0.0, 5.0, 2.5]))),
    "scalars": (2, (-4.0, 1.0)),
    "half a line": (1, (-1.0, np.inf)),
}
supports = pytest.mark.parametrize(("d", "support"), SUPPORTS.values(), ids=SUPPORTS.keys())


def on_support(rng, G, support):
    """Rows inside the support, its corners among them."""
    low, high = (-3.0, 3.0) if support is None else support
    high = np.where(np.isfinite(high), high, 8.0)
    X = rng.uniform(low, high, (scale(200), G.d))
    X[0], X[1] = low, high
    return X, naive.means(G, X)[:, 0] + rng.normal(size=len(X))


@gatings
@supports
@pytest.mark.parametrize("k2", [(3,), (1, 3, 2), (1, 1)], ids=str)
def test_canonical_form_keeps_the_density(rng, gating, d, support, k2):
    G = naive.random_measure(rng, gating, k2, d)
    X, y = on_support(rng, G, support)
    want = hs.log_density(G, X, y)
    H = G.canonical(support)
    np.testing.assert_allclose(hs.log_density(H, X, y), want, rtol=1e-11, atol=1e-10)
    assert all(np.array_equal(getattr(G, name), getattr(H, name)) for name in ("eta", "tau", "nu"))


@gatings
@supports
def test_canonical_form_is_idempotent_and_label_free(rng, gating, d, support):
    G = naive.random_measure(rng, gating, (1, 3, 2), d)
    H = G.canonical(support)
    # the square of 100 times a slope rounds to 1e-11
    tol = 1e-10 if "Q" in gating else 1e-12
    assert H.canonical(support).allclose(H, rtol=tol, atol=tol)
    order = naive.permuted(np.random.default_rng(1), G.replace(nu=np.arange(1.0, 7.0)))
    labels = order.nu.astype(int) - 1
    np.testing.assert_allclose(order.canonical(support).omega, H.omega[labels], atol=1e-10)
    np.testing.assert_allclose(order.canonical(support).beta, H.beta[labels], atol=1e-10)


@gatings
@supports
def test_one_canonical_form_for_every_writing(rng, gating, d, support):
    G = naive.random_measure(rng, gating, (1, 3, 2), d)
    if support is not None and d == 1:  # a third of the centres on or beyond each finite edge
        low, high = support[0], np.inf if np.isinf(support[1]) else support[1]
        edge = high + 1.0 if np.isfinite(high) else low + 2.0
        a, omega = G.a.copy(), G.omega.copy()
        a[:2, 0], omega[1:4, 0] = (edge, low - 2.0), (low, low + 0.3, edge)
        G = G.replace(a=a, omega=omega)
    want = G.canonical(support)
    for _ in range(5):
        H = naive.rewritten(rng, G, support)
        assert not H.allclose(G)
        # the square of 100 times a slope of 100 rounds to 1e-9
        tol = 1e-7 if "Q" in gating else 1e-10
        assert H.canonical(support).allclose(want, rtol=tol, atol=tol)


@gatings
@supports
def test_canonical_normalisations(rng, gating, d, support):
    H = naive.random_measure(rng, gating, (1, 3, 2), d).canonical(support)
    low, high = (np.broadcast_to(s, (d,)) for s in ((-np.inf, np.inf) if support is None else support))
    centre = np.array([(lo + hi) / 2 if np.isfinite([lo, hi]).all() else 0.0 for lo, hi in zip(low, high, strict=True)])
    gates = [(gating[0], H.a, H.b)]
    gates += [(gating[1], H.omega[list(g)], H.beta[list(g)]) for g in naive.groups(H)]
    for letter, slopes, intercepts in gates:
        if letter != "L":
            at_centre = intercepts + slopes @ (centre if letter == "S" else centre**2)
            assert logsumexp(at_centre) == pytest.approx(0.0, abs=1e-12)
            np.testing.assert_allclose(np.exp(at_centre) @ slopes, 0.0, atol=1e-12)
        else:
            assert logsumexp(intercepts) == pytest.approx(0.0, abs=1e-12)
            if d == 1:
                assert (low <= slopes).all()
                assert (slopes <= high).all()
        if len(intercepts) == 1:
            np.testing.assert_array_equal(slopes, centre[None] if letter == "L" else np.zeros((1, d)))


def test_canonical_values_by_hand():
    """exp(1 x + 0) and exp(3 x + log 3) on [0, 2]: weights at x = 1 are 1 : 3 e^2; centres 5 and -1 clip to 2 and 0."""
    values = dict(k2=(2,), a=[4.0], b=[7.0], eta=[1.0, 2.0], tau=[0.0, 0.0], nu=[1.0, 1.0])
    S = hs.MixingMeasure(gating="SS", omega=[1.0, 3.0], beta=[0.0, np.log(3)], **values).canonical((0, 2))
    w = 1 / (1 + 3 * np.exp(2.0))
    np.testing.assert_allclose(S.omega[:, 0], [-2 * (1 - w), 2 * w], rtol=1e-13)
    np.testing.assert_allclose(S.beta + S.omega[:, 0], np.log([w, 1 - w]), rtol=1e-13)
    assert S.a[0, 0] == 0.0
    assert S.b[0] == 0.0
    L = hs.MixingMeasure(gating="LL", omega=[5.0, -1.0], beta=[3.0, 1.0], **values).canonical((0, 2))
    np.testing.assert_array_equal(L.omega[:, 0], [2.0, 0.0])
    np.testing.assert_allclose(L.beta, np.log([0.5, 0.5]), rtol=1e-13)  # 3 - 3 and 1 - 1
    assert L.a[0, 0] == 1.0


def test_centres_that_do_not_matter_are_centred(rng):
    """All centres of a group on one side of the support, or equal: a constant gate."""
    G = naive.random_measure(rng, "LL", (2, 2), 1)
    G = G.replace(a=[4.0, 9.0], omega=[-5.0, -4.0, 0.7, 0.7])
    H = G.canonical((-3.0, 2.0))
    np.testing.assert_array_equal(H.a[:, 0], [-0.5, -0.5])
    np.testing.assert_array_equal(H.omega[:, 0], [-0.5] * 4)
    X = np.linspace(-3, 2, 21)
    np.testing.assert_allclose(hs.gate_weights(H, X), hs.gate_weights(G, X), rtol=1e-12)


@pytest.mark.parametrize(
    "support",
    [(1.0, 1.0), (2.0, 1.0), (0.0, np.nan), 3.0, (1.0, 2.0, 3.0), ("a", "b"), ([0.0, 0.0], [1.0, 1.0])],
    ids=repr,
)
def test_bad_support(rng, support):
    with pytest.raises(ValueError, match=r"^support must .*; got "):
        naive.random_measure(rng, "LL", (2, 2), 1).canonical(support)
