"""The names of columns, from the frame that brings them to the printed fit and the axes of figures."""

from io import BytesIO
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from hmoe_stats.names import of_data, visible
from hmoe_stats.plotting import fit_plot, plain

FITS = {"mle": lambda *data, **o: hs.fit_mle(*data, n_starts=2, **o), "em": lambda *data, **o: hs.fit_em(*data, **o)}


def data(rng, names, y_name="load", n=60):
    X = pd.DataFrame(rng.normal(size=(n, len(names))), columns=names)
    y = X.sum(axis=1) * np.where(X.iloc[:, 0] > 0, 3.0, -1.0) + rng.normal(size=n)
    return X, y.rename(y_name)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_a_fit_keeps_the_names_of_its_columns_and_is_otherwise_the_same(fit, rng):
    X, y = data(rng, ["speed", "wind [m/s]"])
    named = fit(X, y, gating="SS", k2=(2,))
    plain_ = fit(X.to_numpy(), y.to_numpy(), gating="SS", k2=(2,))
    assert named.measure == plain_.measure
    assert named.log_likelihood == plain_.log_likelihood
    assert (named.x_names, named.y_name) == (("speed", "wind [m/s]"), "load")
    assert (plain_.x_names, plain_.y_name) == (("x0", "x1"), "y")
    assert "eta[speed]" in repr(named)
    assert "omega[wind [m/s]]" in repr(named)
    assert "eta_0" not in repr(named)
    assert "eta_0" in repr(plain_)
    words = " ".join(named.null_directions(below=np.inf)["direction"])
    assert "eta[0,speed]" in words
    assert "eta[0,0]" in " ".join(plain_.null_directions(below=np.inf)["direction"])


def test_parameters_on_a_bound_go_by_the_names_of_their_columns(rng):
    X, y = data(rng, ["speed", "wind"])
    bounds = {"eta": (0.0, 0.1)}
    named = hs.fit_mle(X, y, gating="SS", k2=(1,), n_starts=1, bounds=bounds)
    plain_ = hs.fit_mle(X.to_numpy(), y, gating="SS", k2=(1,), n_starts=1, bounds=bounds)
    assert named.active_bounds
    numbers = dict(zip(plain_.active_bounds, named.active_bounds, strict=True))
    assert set(numbers.items()) <= {("eta[0,0]", "eta[0,speed]"), ("eta[0,1]", "eta[0,wind]")}


@pytest.mark.parametrize(
    ("X", "y", "found"),
    [
        (pd.Series([1.0], name="t"), pd.Series([1.0], name=3), (("t",), "3")),
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), [1.0], ((), "")),  # two of a name
        (pd.DataFrame([[1.0, 2.0]]), pd.DataFrame({"out": [1.0]}), (("0", "1"), "out")),
        (pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("a", "b")])), None, (("('a', 'b')",), "")),
        (np.zeros((3, 2)), pd.Series([1.0]), ((), "")),
        (type("Odd", (), {"columns": 5})(), "y", ((), "")),
    ],
)
def test_names_are_those_that_the_data_bring(X, y, found):
    assert of_data(X, y) == found


def test_a_frame_of_a_measure_takes_names():
    G = hs.datasets.truth("C2")
    assert "eta[speed]" in G.to_frame(["speed"])
    assert "eta" in G.to_frame()
    assert G.parameter_names(["speed"])[0] == "a[0,speed]"
    for wrong in ([], ["a", "b"], "s", [1], 7):
        with pytest.raises(ValueError, match=r"^names must be 1 different texts"):
            G.to_frame(wrong)
    two = G.replace(**{name: np.column_stack([getattr(G, name)] * 2) for name in ("a", "omega", "eta")})
    with pytest.raises(ValueError, match=r"^names must be 2 different texts"):
        two.parameter_names(("same", "same"))


def test_a_wide_table_is_printed_whole_and_in_lines_of_a_page():
    d = 30
    names = [f"covariate {c}" for c in range(d)]
    wide = {name: np.arange(2.0 * d).reshape(2, d) for name in ("a", "omega", "eta")}
    G = hs.MixingMeasure(gating="SS", k2=(1, 1), b=[0, 0], beta=[0, 0], tau=[0, 0], nu=[1, 1], **wide)
    for text, last in ((repr(G), "eta_29"), (G.to_string(names), "eta[covariate 29]")):
        assert "..." not in text
        assert last in text
        assert max(map(len, text.splitlines())) <= 120
        assert text.count("omega") == d


HOSTILE = "a\x1b[2J\nb\u202e$x$"


def test_a_name_cannot_steer_a_terminal_or_write_mathematics(rng):
    X, y = data(rng, [HOSTILE], y_name="cost in $ of $x^2$")
    fit = hs.fit_mle(X, y, gating="SS", k2=(2,), n_starts=1)
    assert fit.x_names == (HOSTILE,)
    for text in (repr(fit), *fit.null_directions(below=np.inf)["direction"]):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert rf"eta[{visible(HOSTILE)}]" in repr(fit)
    shown = drawn(fit_plot(fit.measure, X, y).figure)
    assert "cost in $ of $x^2$" in shown
    assert visible(HOSTILE) in shown


def drawn(figure):
    """The texts of a figure, each whole: mathematics would be drawn as pieces."""
    file = BytesIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(file, format="svg")
    return [text.text for text in ElementTree.fromstring(file.getvalue()).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("text", ["$a$", r"\$a$", "$$", r"a\\$b$", "50 % of $"])
def test_plain_text_is_drawn_as_it_stands(text):
    figure = mpl.figure.Figure()
    figure.text(0.5, 0.5, plain(text))
    assert drawn(figure) == [text]
