"""What arguments may be, function by function: what is no number is refused, by name and in few words.

`TABLE` says of every parameter of every public function what kind of argument it is, and `spoilt.BAD` what no such
argument may be. A public function or parameter that is not in the table fails a test.
"""

import inspect
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from spoilt import BAD, NONE, no_numbers

import hmoe_stats as hs
from hmoe_stats import datasets, plotting, theory
from hmoe_stats.theory import systems

LAW = hs.Uniform(-3, 3)
G = datasets.truth("C2")
X, Y = hs.sample(G, 40, x=LAW, seed=0)
CLASSES = hs.CategoricalMeasure(
    gating="SS", k2=(2,), classes=(0, 1), a=[0.0], b=[0.0], omega=[1.0, -1.0], beta=[0.0, 0.0],
    eta=[[[1.0]], [[-1.0]]], tau=[[0.0], [0.5]],
)  # fmt: skip
SIZES, ERRORS = np.repeat([100.0, 1000.0], 4), np.arange(1.0, 9.0)
RATES = pd.DataFrame({"n": SIZES, "error": ERRORS, "gating": "SS"})
PARAMETERS = {name: getattr(G, name) for name in ("a", "b", "omega", "beta", "eta", "tau", "nu")}


@cache
def interactions():
    return theory.interactions(datasets.truth("C4"), 1, LAW)


@cache
def a_fit():
    return hs.fit_mle(X, Y, "SS", (2, 2), start=G, n_starts=1)


T = 0.5 ** np.arange(6.0)
MODULUS_OF_TAU = theory.Modulus(
    gating="SS", k2=(3, 2), discrepancy="tau", cell=(0, 0), m=2, metric="chi", t=T, distance=T**4, agreement=np.ones(6),
    measures=(), exponent=4.0, exponent_error=0.0, clean=(T[-1], T[0]), derived=4.0, status="clean", message="",
    seconds=0.0,
)  # fmt: skip


# -- the table ---------------------------------------------------------------------------------------------------------
# function: (parameter -> its kind, among those of `BAD`, "array" or "errors", good arguments); with a "?" None is good
DATA = {"G": "measure", "X": "array", "y": "array"}, {"G": G, "X": X, "y": Y}
WEIGHED = DATA[0] | {"weights": "array?"}, DATA[1] | {"weights": np.ones(len(Y))}
PAIR = {"G": "measure", "G0": "measure", "x": "law"}, {"G": G, "G0": G, "x": LAW}
DRAWN = PAIR[0] | {"draws": "count", "seed": "seed"}, PAIR[1]
VIEW = (
    {"laplace_scale": "array", "gate_columns": "columns?", "expert_columns": "columns?"},
    {"laplace_scale": np.ones(1)},
)
FIT = (
    VIEW[0]
    | WEIGHED[0]
    | {"gating": "name", "k2": "k2", "start": "measure?", "max_iter": "count from 1", "tol": "positive"}
)
FIT = (
    FIT | {"seed": "seed", "rng": "seed?"},
    VIEW[1] | {"X": X, "y": Y, "gating": "SS", "k2": (1,), "weights": np.ones(len(Y))},
)
del FIT[0]["G"]
FIT[0]["X"] = "table"
MORE = {"n_starts": "count from 1?", "bounds": "bounds?", "effort": "name?", "n_jobs": None, "verbose": None}
OWN = {name: value for name, value in FIT[1].items() if name != "laplace_scale"}
RATE = {"n": "array", "statistic": "name", "n_boot": "count", "level": "share", "seed": "seed", "n_min": "number?"}
CURVE = {"error": "positive", "extrapolate": "flag", "statistic": "name", "n_boot": "count", "level": "share"}
CURVE |= {"seed": "seed"}
FALLING = np.array([1.0, 1.1, 1.2, 1.3, 0.1, 0.11, 0.12, 0.13])
PLOT = {"table": "object", "ax": "object?", "statistic": "name", "series": "name?", "n_min": "number?"}
PLOT |= {"ylabel": "words"}
CERTIFIED = {"G0": "measure", "k2": "k2", "x": "law"}, {"G0": G, "k2": (3, 2), "x": LAW}
MODULUS = {"discrepancy": "name", "cell": "pair", "m": "count from 1", "distance": "name", "t": "array?"}
INTERACTING = {"order": "count from 1", "experts": "pair", "parameters": "names?", "form": "name", "tol": "share"}
SYSTEM = {"m": "count from 1", "order": "count from 1", "kind": "name"}
TABLE = {
    hs.MixingMeasure: (
        {"gating": "name", "k2": "k2", "d": "count from 1?"} | VIEW[0] | dict.fromkeys(PARAMETERS, "array"),
        {"gating": "SS", "k2": (2, 2)} | VIEW[1] | PARAMETERS,
    ),
    hs.Uniform: (dict.fromkeys(("low", "high"), "array"), {"low": np.zeros(2), "high": np.ones(2)}),
    hs.Grid: (dict.fromkeys(("low", "high"), "array"), {"low": np.zeros(1), "high": np.ones(1)}),
    hs.Normal: (dict.fromkeys(("loc", "scale"), "array"), {"loc": np.zeros(2), "scale": np.ones(2)}),
    hs.sample: (
        {"G": "measure", "n": "count from 1", "x": "law", "seed": "seed", "rng": "seed?"},
        dict(G=G, n=5, x=LAW, seed=0),
    ),
    hs.sample_lattice: (
        {
            "G": "measure",
            "n": "count from 1",
            "x": "law",
            "seed": "seed",
            "rng": "seed?",
            "nu_min": "positive",
            "fineness": "count from 1",
        },
        dict(G=G, n=5, x=LAW, seed=0),
    ),
    hs.log_density: DATA,
    **dict.fromkeys((hs.responsibilities, hs.score, hs.information), WEIGHED),
    hs.log_likelihood: (WEIGHED[0] | {"relative_to": "measure?"}, WEIGHED[1]),
    **dict.fromkeys((hs.gate_weights, hs.predict), ({"G": "measure", "X": "array"}, {"G": G, "X": X})),
    hs.fit_em: FIT,
    hs.fit_mle: (FIT[0] | MORE | {"local": "flag"}, FIT[1]),
    hs.fit: (FIT[0] | MORE | {"penalty": "object?", "laplace_scale": None}, OWN),
    hs.Penalty: ({"variance": "tolerance", "ridge": "tolerance"}, {"variance": 1.0, "ridge": 0.1}),
    hs.CategoricalMeasure: (dict.fromkeys(inspect.signature(hs.CategoricalMeasure).parameters), {}),
    hs.fit_categorical: (dict.fromkeys(inspect.signature(hs.fit_categorical).parameters), {}),
    hs.fit_categorical_mle: (dict.fromkeys(inspect.signature(hs.fit_categorical_mle).parameters), {}),
    hs.sample_categorical: (
        {"G": "measure", "n": "count from 1", "x": "law", "seed": "seed", "rng": "seed?"},
        dict(G=CLASSES, n=5, x=LAW, seed=0),
    ),
    hs.design: ({"formula": None, "data": None}, {}),  # test_frames
    hs.select: (
        {"X": "table", "y": "array", "weights": "array?", "gatings": None, "shapes": None, "criteria": "names"}
        | {"folds": "count from 1", "seed": "seed", "rng": "seed?", "effort": "name?", "n_jobs": None},
        {"X": X, "y": Y, "weights": np.ones(len(Y)), "shapes": [(1,)], "folds": 2},
    ),
    hs.specialization: (
        {"fit": "measure", "X": "array", "y": "array?", "labels": None, "weights": "array?", "n_boot": "count"}
        | {"level": "share", "refits": "count", "seed": "seed", "n_jobs": None},
        {"fit": G, "X": X, "y": Y, "weights": np.ones(len(Y)), "n_boot": 2},
    ),
    hs.parameter_errors: PAIR,
    hs.functional_errors: (PAIR[0] | {"weight": None}, PAIR[1]),
    hs.voronoi_loss: (PAIR[0] | {"form": "name"}, PAIR[1]),
    **dict.fromkeys((hs.hellinger, hs.total_variation, hs.chi_square), DRAWN),
    hs.diagnose: ({"G": "measure", "k2": "k2?", "x": "law?"}, {"G": G}),
    hs.fit_rate: (RATE | {"errors": "errors"}, {"n": SIZES, "errors": ERRORS}),
    hs.compare_rates: (
        RATE | {"first": "errors", "second": "errors"},
        {"n": SIZES, "first": ERRORS, "second": ERRORS[::-1]},
    ),
    hs.sample_size: (CURVE | {"curve": "object"}, {"curve": (SIZES, FALLING), "error": 0.5}),
    hs.sample_size_ratio: (
        CURVE | {"first": "object", "second": "object"},
        {"first": (SIZES, FALLING), "second": (SIZES, 1.1 * FALLING), "error": 0.5},
    ),
    datasets.truth: ({"name": "name", "gating": "name"}, {"name": "C2"}),
    datasets.random_truth: (
        {"seed": "seed", "gating": "name", "separation": "support"},
        {"seed": 0},
    ),
    datasets.load: ({"name": "name"}, {}),
    datasets.names: ({}, {}),
    hs.compare: ({"fits": "object"}, {}),
    theory.rates: (
        {"G0": "measure", "k2": "k2", "gating": "name?", "form": "name", "x": "law?"},
        {"G0": G, "k2": (2, 2)},
    ),
    theory.modulus: (
        CERTIFIED[0] | MODULUS | {"n_starts": "count?", "seed": "seed"},
        CERTIFIED[1] | {"t": np.arange(1.0, 7.0)},
    ),
    theory.certificates: (CERTIFIED[0] | {"cell": "pair?", "discrepancies": "names?"}, CERTIFIED[1]),
    theory.certify: CERTIFIED,
    theory.certificate_table: ({"moduli": "object"}, {}),
    theory.interactions: (
        {"G0": "measure", "x": "law"} | INTERACTING | {"draws": "count", "seed": "seed"},
        {"G0": G, "x": LAW, "order": 1},
    ),
    theory.split_information: (DATA[0] | {"expert": "pair"}, DATA[1]),
    systems.equations: (SYSTEM, {"m": 2, "order": 3}),
    systems.groebner: (SYSTEM, {}),
    systems.gauss_hermite: ({"m": "count from 1", "tilt": "finite"}, {"m": 2}),
    systems.infimum: (
        SYSTEM | {"seed": "seed", "starts": "count from 1", "floor": "share"},
        {"m": 2, "order": 3, "starts": 2},
    ),
    systems.r: ({"m": "count from 1", "kind": "name", "seed": "seed", "starts": "count from 1"}, {"m": 2}),
    plotting.style: ({}, {}),
    **dict.fromkeys((plotting.plain, plotting.axis_label), ({"text": None}, {})),  # any text is drawn
    plotting.place_of: ({"G": None, "j": None}, {}),
    plotting.shortened: ({"names": None, "longest": None}, {}),
    plotting.series_looks: ({"names": None}, {}),
    plotting.label_powers: ({"axis": None, "few": None}, {}),
    plotting.rate_plot: (
        PLOT | {"references": "references?", "level": "share", "n_boot": "count"},
        {"table": RATES, "n_boot": 100},
    ),
    plotting.curve_plot: (
        {"fits": "object", "ax": "object?", "references": "references?", "ylabel": "words", "looks": "object?"},
        {"fits": {"": hs.fit_rate(SIZES, ERRORS, n_boot=100)}},
    ),
    plotting.loss_plot: (PLOT, {"table": RATES}),
    plotting.modulus_plot: (
        {"moduli": "object", "ax": "object?", "references": "references?", "ylabel": "words?"},
        {"moduli": MODULUS_OF_TAU},
    ),
    plotting.fit_plot: (DATA[0] | {"ax": "object?", "gates": "flag", "along": "columns?"}, DATA[1]),
    plotting.gate_map: (
        {"G": "measure", "X": "array", "ax": "object?", "level": "name", "along": "columns?"},
        {"G": datasets.truth("P2"), "X": np.zeros((3, 2))},
    ),
    plotting.tree_plot: ({"G": "measure", "X": "array?", "ax": "object?"}, {"G": G, "X": X}),
    plotting.residual_plot: ({"fit": "object", "ax": "object?", "along": "columns?"}, {"fit": a_fit}),
    plotting.qq_plot: ({"fit": "object", "ax": "object?", "level": "share"}, {"fit": a_fit}),
    plotting.interval_plot: (
        {"fit": "object", "ax": "object?", "of": "name", "along": "columns?"}
        | {"level": "share", "kind": "name", "q": "array", "band": "flag"},
        {"fit": a_fit, "q": np.full(1, 0.5)},
    ),
    plotting.of_fit: ({"fit": "object", "kind": "name", "ax": "object?"}, {"fit": a_fit}),
    plotting.as_fit: ({"fit": "object"}, {}),
    plotting.dendrogram_plot: ({"tree": "object", "ax": None}, {}),  # what is no dendrogram cannot be drawn on axes
    plotting.criterion_plot: ({"selection": "object", "ax": None, "criterion": None}, {}),
    plotting.interaction_plot: ({"result": "object", "ax": "object?", "names": "names?"}, {"result": interactions}),
    hs.MixingMeasure.with_vector: ({"vector": "array"}, {"vector": G.to_vector()}),
    hs.MixingMeasure.canonical: ({"support": "support?"}, {"support": (-3, 3)}),
    hs.MixingMeasure.allclose: ({"other": "measure", "rtol": "tolerance", "atol": "tolerance"}, {"other": G}),
}
LISTED = {theory.certificates, theory.certify}  # generators, and what takes all options of one
SAYS = {"series": "(series|table)"}  # it names a column of the table
RESULTS = {hs.FitResult, hs.CategoricalResult, theory.Interactions, theory.Modulus, theory.SplitInformation}
RESULTS |= {systems.PolynomialSystem}


def call(function, **arguments):
    """The answer; methods of a measure are those of `G`."""
    made = (interactions, a_fit)
    arguments = {k: value() if any(value is one for one in made) else value for k, value in arguments.items()}
    if function.__qualname__.startswith(("MixingMeasure.", "Tree.")):
        return function(G, **arguments)
    answer = function(**arguments)
    return list(answer) if inspect.isgenerator(answer) else answer


def bad_values(kind, good, may_be_none):
    if kind == "table":  # rows with gaps in a column of a frame are left out
        return {name: bad for name, bad in no_numbers(good).items() if not name.startswith("a gap")} | NONE
    if kind in ("array", "errors"):
        return no_numbers(good, gaps=kind == "array") | ({} if may_be_none or kind == "errors" else NONE)
    out = BAD[kind] | (no_numbers(X) if kind == "law" else {})
    return out if may_be_none else out | NONE


def public():
    """Every public function and class with arguments of its own."""
    rooms = [(hs, hs.__all__), (theory, theory.__all__), (systems, systems.__all__)]
    rooms += [(room, [name for name in vars(room) if name[0] != "_"]) for room in (plotting, datasets)]
    for room, names in rooms:
        for name in names:
            value = getattr(room, name)
            if inspect.isroutine(value) or inspect.isclass(value):
                if room not in (plotting, datasets) or value.__module__.startswith(room.__name__):
                    yield value


def test_every_public_function_and_parameter_is_in_the_table():
    assert {f for f in public() if f not in RESULTS} <= set(TABLE)
    for function, (kinds, _) in TABLE.items():
        names = [
            name
            for name, parameter in inspect.signature(function).parameters.items()
            if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
        ]
        assert sorted(names) == sorted(kinds), function


CASES = [
    pytest.param(function, name, kind, id=f"{function.__qualname__}-{name}")
    for function, (kinds, _) in TABLE.items()
    for name, kind in kinds.items()
    if kind  # others take anything, or are tested where they are
]


@pytest.mark.parametrize(("function", "name", "kind"), CASES)
def test_what_no_argument_may_be_is_refused_by_name_and_in_few_words(function, name, kind):
    kind, may_be_none = kind.removesuffix("?"), kind.endswith("?")
    good = TABLE[function][1]
    taken = []
    for label, bad in bad_values(kind, good.get(name), may_be_none).items():
        try:
            call(function, **good | {name: bad})
        except ValueError as error:
            words = str(error)
            short = len(words) < 500 and "x" * 100 not in words and "\n" not in words
            if not (short and re.match(rf"{SAYS.get(name, name)}\b", words)):
                taken.append((label, words[:200]))
        except Exception as error:
            taken.append((label, repr(error)[:200]))
        else:
            taken.append((label, "taken"))
    assert not taken


def test_methods_of_results_refuse_alike():
    rate, fit = hs.fit_rate(SIZES, ERRORS), hs.fit_em(X, Y, "SS", (1,), max_iter=2)
    methods = [
        (rate.predict, "n", {k: bad for k, bad in no_numbers(SIZES).items() if k != "many axes"}),
        (interactions().angle, "name", BAD["name"] | NONE),
        (lambda bad: interactions().angle("d/dtau", others=bad), "name|others", BAD["names"]),
        (lambda bad: interactions().evaluate(bad, Y), "X", no_numbers(X)),
        (lambda bad: interactions().evaluate(X, bad), "y", no_numbers(Y)),
        (fit.null_directions, "below", BAD["number"] | NONE),
        (hs.MixingMeasure.from_dict, "values", BAD["object"] | NONE),
    ]
    for method, name, bad_values in methods:
        for bad in bad_values.values():
            with pytest.raises(ValueError, match=rf"^({name})\b.* must ") as caught:
                method(bad)
            assert len(str(caught.value)) < 500


# -- seeds -------------------------------------------------------------------------------------------------------------
SEEDED = {
    "sample": lambda **seed: hs.sample(G, 20, x=LAW, **seed)[1].tolist(),
    "sample_lattice": lambda **seed: hs.sample_lattice(G, 1000, x=LAW, **seed)[2].tolist(),
    "fit_em": lambda **seed: hs.fit_em(X, Y, "SS", (2,), max_iter=3, **seed).measure.to_vector().tolist(),
    "fit_mle": lambda **seed: hs.fit_mle(X, Y, "SS", (2,), n_starts=2, effort="quick", **seed).starts.to_json(),
    "fit": lambda **seed: hs.fit(X, Y, "SS", (2,), n_starts=2, effort="quick", **seed).starts.to_json(),
    "select": lambda **seed: hs.select(X, Y, "SS", [(1,), (2,)], ["cv"], **seed).table["cv"].tolist(),
}


@pytest.mark.parametrize("name", SEEDED)
def test_rng_is_a_seed_or_something_that_one_is_drawn_from(name):
    call = SEEDED[name]
    assert call(rng=5) == call(seed=5)
    drawn = int(np.random.default_rng(7).integers(2**63))
    for rng in (np.random.default_rng(7), np.random.PCG64(7), np.random.SeedSequence(7)):
        assert call(rng=rng) == call(seed=drawn)
    generator = np.random.default_rng(7)
    assert call(rng=generator) == call(seed=drawn)
    assert generator.integers(2**63) != drawn  # it has moved on
    with pytest.raises(ValueError, match="rng must be None where a seed is given"):
        call(seed=1, rng=2)
    assert "rng" in inspect.signature(getattr(hs, name)).parameters
