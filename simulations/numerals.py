"""What a cell of a table says: a number, nothing, a truth value, or a number in another writing than a program's.

A number is ASCII digits with a decimal point, as ``-1.5e3``, blanks around it apart. Other writings are told by undoing
them one after the other until a number is left; only a decimal comma is ever read, all others are for advice.
"""

import re
import unicodedata

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
DECIMAL_COMMA = re.compile(r"([+-]?)([0-9]{1,3}(?:\.[0-9]{3})+|[0-9]*)(?:,([0-9]*))?((?:[eE][+-]?[0-9]+)?)")
MISSING = {
    *("", "na", "n/a", "#n/a", "#na", "<na>", "#n/a n/a", "nan", "-nan", "+nan", "null", "none", "nat", "\\n"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
}
INFINITE = {sign + word for sign in ("", "+", "-") for word in ("inf", "infinity", "1.#inf")}
TRUTH = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
LONGEST = 60  # characters of a number in another writing

_MONEY = r"(?:[$¢-¥֏؋฿\u20a0-\u20cf﷼＄￠￡￥￦]|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|BRL|R\$|Rs\.?)"
_UNDOING = [  # (what it is, what to look for, what to put there); in this order
    ("characters that cannot be seen", r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", ""),
    ("a minus sign that is no hyphen", r"[\u2010-\u2015\u2212\ufe58\ufe63\uff0d](?=[0-9.,\s])", "-"),
    ("quotes", r"""^(["'`´‘’“”„])\s*(.*?)\s*["'`´‘’“”]$|^'""", r"\2"),
    ("parentheses", r"^\((.*)\)$", r"-\1"),
    ("a currency", rf"^([+-]?)\s*{_MONEY}\s*|\s*{_MONEY}$", r"\1"),
    ("a per cent sign", r"\s*[%‰٪]$", ""),
    ("a sign of comparison", r"^[<>=~≈≤≥±∼≃]+\s*", ""),
    ("a minus sign behind", r"^([0-9.,]+)\s*-$", r"-\1"),
    ("a blank behind its sign", r"^([+-])\s+(?=[0-9.])", r"\1"),
    ("spaces or marks between digits", r"(?<=[0-9])[\s'’_·٬](?=[0-9]{3}(?![0-9]))", ""),
    ("a power of ten in full", r"\s*[×x*·]\s*10\s*(?:\^|\*\*)?\s*([+-]?[0-9]+)$", r"e\1"),
    ("an exponent without e", r"(?<=[0-9.])\s*[dDqQ](?=[+-]?[0-9]+$)", "e"),
]
_UNDOING = [(what, re.compile(pattern), put) for what, pattern, put in _UNDOING]
_THOUSANDS = re.compile(r"([+-]?)([1-9][0-9]{0,2}(?:,[0-9]{2,3})*,[0-9]{3})(\.[0-9]*)?")
_DIGIT = re.compile(r"\d")
_UNIT = re.compile(r"(.*[0-9.])\s*([°µμΩ'\"/]?[^\W\d_][^\d]{0,11}|[°′″'\"])")

THOUSANDS, DECIMAL, EITHER = "thousands commas", "a decimal comma", "a comma, of thousands or of decimals"
COMMAS = {THOUSANDS, DECIMAL, EITHER}
POINT = "a decimal point where others have decimal commas"


def number(text, decimal="."):
    """The number that the stripped text of a cell writes, as a float that may overflow to inf; None if it does not."""
    if decimal == ",":
        found = DECIMAL_COMMA.fullmatch(text)
        if not found or not (found[2] or found[3]) or (found[2].count(".") == 1 and not found[3]):
            return None  # 1.234 may be either
        text = f"{found[1]}{found[2].replace('.', '')}.{found[3] or ''}{found[4]}"
    return float(text) if NUMBER.fullmatch(text) else None


def writing(text):
    """In what way a cell that is no number writes one all the same, in words; None if it does not."""
    if len(text) > LONGEST or not _DIGIT.search(text):
        return None
    said = None
    digits = "".join(str(unicodedata.decimal(c, c)) for c in text)
    if digits != text:
        text, said = digits, "digits of another script"
    for what, pattern, put in _UNDOING:
        undone = pattern.sub(put, text).strip()
        if undone != text and _DIGIT.search(undone):
            text, said = undone, said or what
    return _core(text, said) or _with_unit(text, said)


def _core(text, said):
    if NUMBER.fullmatch(text):
        return said or POINT
    if _THOUSANDS.fullmatch(text):
        several = text.count(",") > 1 or "." in text
        return said or (THOUSANDS if several else EITHER)
    found = DECIMAL_COMMA.fullmatch(text)
    return (said or DECIMAL) if found and (found[2] or found[3]) else None


def _with_unit(text, said):
    found = _UNIT.fullmatch(text)
    return found and _core(found[1].strip(), said or f"the unit {found[2].strip()}")
