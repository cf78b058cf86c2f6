"""The words of the driver: verdicts and their signs, quantities, and users' text made fit for a terminal.

Nothing heavy is imported here, so that the command line may use it from its first line on.
"""

import unicodedata
import warnings
from contextlib import contextmanager

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # they are spelling: in Persian words, in emoji

# verdict -> its sign in the tables that are printed; what they mean is `VERDICTS_MEAN`
MARKS = {"consistent": "=", "inconclusive": "?", "steeper": "<", "flatter": ">", "": " "}
VERDICTS_MEAN = {
    "consistent": "the interval holds what is expected and nothing that speaks against it",
    "inconclusive": "it holds that, and also 0 (no fall, no difference) or what the other form of theory expects",
    "steeper": "all of it lies below: faster",
    "flatter": "all of it lies above: slower",
}


def visible(text):
    r"""A user's text as it is written, fit to be printed on a terminal.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        One line: characters that would move the cursor, ring, turn the direction of writing or not be seen at all are
        shown as Python writes them, such as ``\x1b``, ``\n`` and ``\u202e``.
    """
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in str(text))


def _is_shown(c):
    return c.isprintable() or unicodedata.category(c) == "Zs" or c in JOINERS


def label(level, size, parameter, kind):
    """A quantity in words."""
    if level == 0:
        return parameter
    return f"{parameter} {kind}" + (f", {size} in cell" if level == 2 or size > 1 else "")


@contextmanager
def glyphs_noted(say):
    """What the font of a figure lacks is said once, by `say` and in one line, instead of warned of glyph by glyph."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", r"Glyph \d+ ", UserWarning)
        yield
    lacking = {}
    for one in caught:
        words = str(one.message).split()
        if words[0] == "Glyph":
            lacking[chr(int(words[1]))] = None
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if lacking:
        say(f"note: the font of the figures has nothing for {visible(' '.join(lacking))}: boxes stand there")
