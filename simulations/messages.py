"""Users' text in messages and on a terminal, and results as JSON.

Nothing heavy is imported here, so that the command line may use it from its first line on.
"""

import json
import math
import unicodedata
import warnings
from contextlib import contextmanager

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # they are spelling: in Persian words, in emoji


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


def brief(text, most=40):
    """`text` cut where it is longer than `most` characters; all but letters, marks and plain blanks are escapes.

    Within a message a blank that is none must be seen, too.
    """
    text = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(text):
    """`text` in quotes, brief."""
    return f"'{brief(text)}'"


def listed(texts, most=8):
    """The first `most` of `texts`, joined by commas, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


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


def strict_json(value):
    """`value` as JSON text that every parser takes: ASCII, and null for a number that is not finite."""
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, indent=2)


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
