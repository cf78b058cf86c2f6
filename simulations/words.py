"""Users' text, fit for a terminal.

Nothing heavy is imported here, so that the command line may use it from its first line on.
"""

import unicodedata

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
