"""Users' text on a terminal, and results as JSON: what may be printed as it stands, and how the rest is written."""

import json
import math
import sys


def visible(text):
    r"""`text` with characters that do not print (controls, line ends, turns of direction) written as ``\x1b``."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def brief(text, most=40):
    """`text`, visible, and cut where it is longer than `most` characters."""
    return visible(text if len(text) <= most else text[: most - 3] + "...")


def shown(text):
    """`text` in quotes, visible and brief."""
    return f"'{brief(text)}'"


def listed(texts, most=8):
    """The first `most` of `texts`, joined by commas, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def any_text_prints():
    """Let standard output and error write every character: as an escape where their encoding lacks it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where there is none, nor under a notebook
            stream.reconfigure(errors="backslashreplace")


def strict_json(value):
    """`value` as JSON text that every parser takes: ASCII, and null for a number that is not finite."""
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, indent=2)


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
