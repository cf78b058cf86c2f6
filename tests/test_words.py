"""Users' text on a terminal and in a figure: as it is written, and nothing of it a command to either."""

import sys
import unicodedata

import pytest

from hmoe_stats.plotting import plain, shortened
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
    assert list(shortened(["x" * 40, "y" * 41]).values()) == ["x" * 40, f"{'y' * 26}\N{HORIZONTAL ELLIPSIS}{'y' * 13}"]


def test_every_verdict_has_a_sign_of_its_own():
    assert {*VERDICTS_MEAN, ""} == set(MARKS)
    assert len(set(MARKS.values())) == len(MARKS)
