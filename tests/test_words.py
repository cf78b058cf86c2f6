"""Users' text on a terminal and in a figure: as it is written, and nothing of it a command to either."""

import sys
import unicodedata

import pytest

from hmoe_stats.plotting import plain, shortened
from simulations import words
from simulations.messages import visible
from simulations.words import MARKS, VERDICTS_MEAN


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\x07b\rc\nd\te\0", r"a\x07b\rc\nd\te\x00"),
        ("\x7f\x80\x9b31m\x85", r"\x7f\x80\x9b31m\x85"),
        ("\u202etxt.exe\u2066\u200f\u061c", r"\u202etxt.exe\u2066\u200f\u061c"),
        ("\u2028\u2029\ufeff\u200b\U000e0041", r"\u2028\u2029\ufeff\u200b\U000e0041"),
        ("\ud800\uffff", r"\ud800\uffff"),
    ],
)
def test_what_would_command_a_terminal_is_shown(text, shown):
    assert visible(text) == plain(text) == shown


WRITING = ["", " two  spaces ", r"C:\new\x1b", "na\u00efve \u03c9\u0304 \u65e5\u672c \u05d0", "10\u00a0%"]
WRITING += ["\u0645\u06cc\u200c\u062e", "\U0001f468\u200d\U0001f52c"]  # with joiners


@pytest.mark.parametrize("text", WRITING)
def test_what_is_writing_stays_as_it_is_written(text):
    assert visible(text) == plain(text) == text


def test_no_control_character_is_let_through():
    every = map(chr, range(sys.maxunicode + 1))
    bad = [c for c in every if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\u200c\u200d"]
    assert len(bad) > 2000
    assert visible("".join(bad)).isascii()
    assert visible("".join(bad)).isprintable()


def test_dollar_signs_are_money_in_a_figure():
    assert plain("$a$ and $") == r"\$a\$ and \$"
    assert visible("$a$") == "$a$"


def test_long_names_are_cut_and_stay_distinct():
    names = [*(f"{'a' * 30}{i}{'b' * 30}" for i in range(12)), "short", "a" * 10]
    short = shortened(names, 12)
    assert short["short"] == "short"
    assert len(set(short.values())) == len(names)
    assert max(map(len, short.values())) <= 12
    whole, cut = shortened(["x" * 34, "y" * 35]).values()
    assert (whole, cut) == ("x" * 34, f"{'y' * 22}\N{HORIZONTAL ELLIPSIS}{'y' * 11}")


def test_every_verdict_has_a_sign_of_its_own():
    assert {*VERDICTS_MEAN, ""} == set(MARKS)
    assert len(set(MARKS.values())) == len(MARKS)


@pytest.mark.parametrize(
    ("rate", "written"),
    [(0.25, "1/4"), (0.333333, "1/3"), (1 / 12, "1/12"), (0.375, "3/8"), (0.0, "0"), (1.0, "1"), (0.281, "0.281")],
)
def test_a_rate_of_theory_is_the_fraction_that_it_is(rate, written):
    assert words.fraction(rate) == written
    assert words.signed(rate) == ("0" if rate == 0 else f"+{written}")
    assert words.signed(-rate) == ("0" if rate == 0 else f"-{written}")
    assert words.beside("faster", rate) == f"> {written}"
    assert words.beside("", float("nan")) == "-"


def test_a_measured_rate_is_minus_a_slope_and_its_interval_turns_with_it():
    assert words.rate(-0.26, -0.314, -0.2) == "0.26 [0.20, 0.31]"
    assert words.rate(0.21, 0.05, 0.37) == "-0.21 [-0.37, -0.05]"
    assert words.rate(-0.18, -0.36, 0.001) == "0.18 [0.00, 0.36]"  # no "-0.00"
    assert words.rate(*[float("nan")] * 3) == "-"


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        ((2, 2, "eta", "barycentre"), "mean of eta over the cell, m = 2"),
        ((2, 1, "eta", "weighted"), "eta of each expert, m = 1"),
        ((1, 2, "a", "weighted"), "a of each group, m = 2"),
        ((1, 1, "b", "mass"), "weight of the group, m = 1"),
        ((2, 3, "beta", "mass"), "weight of the cell in its group, m = 3"),
        ((0, 0, "loss_sharp", "loss"), "Voronoi loss"),
        ((2, 2, "expert", "function"), "expert function over the cell, m = 2"),
        ((0, 0, "routing", "function"), "routing probabilities"),
        ((2, 2, "new", "kind"), "new kind, m = 2"),
    ],
)
def test_quantities_in_words(quantity, written):
    assert words.quantity(*quantity) == written


def test_errors_of_functions_have_words():
    import hmoe_stats as hs

    G = hs.datasets.truth("C2", gating="SS")
    table = hs.functional_errors(G, G, hs.Uniform(-3, 3))
    known = {*words.WHOLE, *words.FUNCTIONS, "gate"}
    assert set(table["parameter"]) <= known
