"""Users' text in messages, and results as JSON."""

import json
import math


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


def strict_json(value):
    """`value` as JSON text that every parser takes: ASCII, and null for a number that is not finite."""
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, indent=2)


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
