"""A user's own table: y and the columns of X as their owner means them, or one line that says what has to be mended.

Nothing is guessed where two readings would do. A column that holds no numbers is left out, and named, or, where that is
asked for, taken as categories if it holds a few words again and again; one that holds mostly numbers is neither, as
what is wrong with it is a mistake: whoever means to do without it names the others.
"""

import difflib
import re
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from . import UserError
from .layout import layout, tidy
from .messages import brief, listed, shown, visible
from .numerals import COMMAS, DECIMAL, INFINITE, MISSING, POINT, THOUSANDS, TRUTH, number, writing
from .textfile import read_text

CHUNK = 1 << 18  # cells read at once
JUDGED = 1000  # odd cells of a column that are looked at closely
WRITINGS = 3  # other writings of numbers in one column at most: more are no numbers, but words such as 3a, 3b, 3c, 3d
LINES = 5  # columns complained of at once
MOST_LEVELS = 20  # of words that nobody called categories: where there are more they are names, dates or remarks
MISSING_WORDS = MISSING - {"none"}  # which is a category like any other
_PLAIN = re.compile(r"[0-9eE+\-. \n]*")
_NAMELESS = re.compile(r"|Unnamed: \d+(\.\d+)*")  # the latter is what pandas calls a column without a name


def read_table(path, y, x=None, weights=None, categorical=None):
    """Read a CSV table: of numbers, or, where `categorical` is given, as fits take it.

    Parameters
    ----------
    path : path
        A text file with a header, in UTF-8, UTF-16 or Windows-1252, perhaps compressed. Cells are separated by commas,
        semicolons, tabs, bars or blanks, whichever make `y` a column of even rows.
    y : str
        Name of the column of the response.
    x : sequence of str, optional
        Names of the columns of X; by default all that hold numbers or truth values, other than `y`.
    weights : str, optional
        Name of a column of weights, which is the last of X then.
    categorical : sequence of str, optional
        Names of columns of X, or `y`, that are categories, whatever is in them. With it, which may be empty, columns
        of X of a few words again and again, or that `x` names, are categories as well, and values may be missing: NaN,
        and None.

    Returns
    -------
    X : DataFrame, (n, d)
        Numbers, and text.
    y : Series, (n,)
        Numbers, or text where it is among the categories.
    notes : list of str
        What was left out, and what was read in another way than it stands there.

    Raises
    ------
    UserError
        A line for each problem: the column, the line of the file, and the cell.
    """
    y, x = tidy(y), list(dict.fromkeys(map(tidy, x))) if x else None
    weights = None if weights is None else tidy(weights)
    text, notes = read_text(path)
    asked = _Asked(y, x, weights, None if categorical is None else tuple(dict.fromkeys(map(tidy, categorical))))
    found = layout(text, visible(path), [y, *(x or ()), *asked.others])
    notes = [*notes, *found.notes]
    used = _used(found, asked)
    columns, comma = _read(found, used)
    if comma:
        notes.append("commas read as decimal commas")
    texts = _texts(found, [column.place for column in columns if asked.may_be_words(column)])
    values, said = _judged(found.file, columns, asked, texts)
    response = pd.Series(values.pop(y), name=y)
    names = [name for name in (values if x is None else x) if name != weights] + ([weights] if weights else [])
    if all(values[name].dtype == float for name in names):
        return pd.DataFrame(np.column_stack([values[name] for name in names]), columns=names), response, notes + said
    return pd.DataFrame({name: values[name] for name in names}), response, notes + said


# -- which columns ----------------------------------------------------------------------------------------------------
class _Asked(NamedTuple):
    """The columns that were asked for."""

    y: str
    x: list | None
    weights: str | None
    categorical: tuple | None

    @property
    def others(self):
        """Names besides those of y and X."""
        return (*([self.weights] if self.weights is not None else ()), *(self.categorical or ()))

    def option(self, name):
        """The option that asked for a column, to stand before what is wrong with it; "" if none did."""
        named = {self.y: "--y: ", self.weights: "--weights: "}
        return named.get(name, "--x: " if self.x else "")

    def response_may_be(self, column):
        """Whether a column is that of y, and holds words that may be classes."""
        return self.categorical is not None and column.name == self.y and column.wordy

    def may_be_words(self, column):
        """Whether a column may be of categories."""
        if self.categorical is None or column.name == self.weights or not column.filled:
            return False
        return column.name in self.categorical or (column.name not in (self.y, "") and column.wordy)


def _used(found, asked):
    """Places of the columns that are read, after a check of their names."""
    names, (y, x, weights, categorical) = found.names, asked
    wanted = [("--y", y), *(("--x", name) for name in x or ())]
    wanted += [("--weights", weights)] if weights is not None else []
    for option, name in (*wanted, *(("--categorical", name) for name in categorical or ())):
        if name not in names or not name:
            raise UserError(f"{option}: {_not_there(found, name)}")
    if x is not None and y in x:
        raise UserError(f"--x: {shown(y)} is the response, --y")
    if weights == y or weights in (x or ()):
        what = "the response, --y" if weights == y else "a column of X, --x"
        raise UserError(f"--weights: {shown(weights)} is {what}")
    for name in categorical or ():
        if name == weights or (x is not None and name not in (y, *x)):
            raise UserError(f"--categorical: {shown(name)} is no column of X, nor the response")
    chosen = None if x is None else {y, weights, *x}
    used = [place for place, name in enumerate(names) if chosen is None or name in chosen]
    counts = Counter(names[place] for place in used)
    for name, count in counts.items():
        if count > 1 and name:
            places = [str(place + 1) for place in used if names[place] == name]
            where = f"{', '.join(places[:-1])} and {places[-1]}"
            raise UserError(f"{found.file}: columns {where} share the name {shown(name)}: give each its own")
    return used


def _not_there(found, name):
    """That a column is not there, those that are, and the one that may be meant."""
    what, names = "columns are", [other for other in found.names if other]
    try:
        columns, _ = _read(found, [place for place, other in enumerate(found.names) if other])
        names, what = [column.name for column in columns if column.holds_numbers], "numeric columns are"
    except UserError:
        pass  # one complaint at a time
    said = f"the column {shown(name)} is not there; {what} {listed([brief(other) for other in names]) or 'none'}"
    folded = {other.casefold(): other for other in found.names}
    near = difflib.get_close_matches(name.casefold(), folded, 1, cutoff=0.7)
    if near:
        return f"{said}; did you mean {shown(folded[near[0]])}?"
    if len(found.names) == 1:
        return f"{said}; commas, semicolons, tabs, bars or blanks separate columns, and line {found.line} has none"
    return said


# -- what is in them --------------------------------------------------------------------------------------------------
class _Column:
    """Numbers of a column, and what of its cells is no number."""

    def __init__(self, name, place, decimal):
        self.name, self.place, self.decimal = name, place, decimal
        self.parts = []
        self.count = Counter()  # kind of a cell -> number of cells
        self.first = {}  # kind -> (line, text) of the first
        self.writings = Counter()  # of odd cells

    @property
    def label(self):
        return f"column {shown(self.name)}" if self.name else f"the nameless column {self.place + 1}"

    def take(self, cells, lines):
        """More cells (stripped or not), and their lines."""
        values = self._plain(cells)
        if values is None:
            values = np.array([self._value(cell.strip(), line) for cell, line in zip(cells, lines, strict=True)])
        else:
            self.count["number"] += len(values)
        self.parts.append(values)

    def _plain(self, cells):
        """The numbers, if all cells are finite ones; None if not."""
        joined = "\n".join(cells)
        if self.decimal == ",":
            if "." in joined:
                return None
            cells, joined = [cell.replace(",", ".") for cell in cells], joined.replace(",", ".")
        if not _PLAIN.fullmatch(joined):
            return None
        try:
            values = np.fromiter(map(float, cells), float, len(cells))
        except ValueError:
            return None
        return values if np.isfinite(values).all() else None

    def _value(self, text, line):
        value, word = number(text, self.decimal), text.lower()
        if value is not None:
            kind = "number" if np.isfinite(value) else "infinite"
        elif word in MISSING:
            kind, value = "missing", np.nan
        elif word in TRUTH:
            kind, value = "truth", TRUTH[word]
        elif word in INFINITE:
            kind, value = "infinite", np.nan
        else:
            kind, value = "odd", np.nan
            if self.count[kind] < JUDGED:
                self.writings[writing(text)] += 1
        self.count[kind] += 1
        self.first.setdefault(kind, (line, text))
        return value

    @property
    def values(self):
        return np.concatenate(self.parts)

    @property
    def filled(self):
        return sum(self.count.values()) - self.count["missing"]

    @property
    def known(self):
        """Number of cells that are numbers, in whatever writing."""
        odd, writings = self.count["odd"], {what: n for what, n in self.writings.items() if what}
        written = sum(writings.values()) / max(sum(self.writings.values()), 1) if len(writings) <= WRITINGS else 0.0
        known = self.count["number"] + self.count["infinite"] + written * odd
        return known + self.count["truth"] if known else 0

    @property
    def pure(self):
        """All cells that are filled are numbers, or all are truth values."""
        return 0 < self.filled in (self.count["number"], self.count["truth"])

    @property
    def holds_numbers(self):
        """So many cells are numbers that those that are not must be mistakes."""
        return self.pure or 0 < self.filled <= 2 * self.known

    @property
    def wordy(self):
        """It holds words only: no number, however written."""
        words = self.count["odd"] + self.count["truth"]
        return self.count["odd"] > 0 and not self.known and self.filled == words

    @property
    def counts_rows(self):
        """It holds 0, 1, 2, ... or 1, 2, 3, ..."""
        if not self.pure or self.count["missing"] or self.count["truth"]:
            return False
        values = self.values
        return values[0] in (0, 1) and bool((np.diff(values) == 1).all())

    def flaw(self):
        """The first cell that is no number among numbers, and why."""
        kinds = [kind for kind in ("odd", "infinite") if self.count[kind]] or ["truth"]
        kind = min(kinds, key=lambda kind: self.first[kind])
        line, text = self.first[kind]
        said, what = f"{shown(text)} in line {line}", writing(text)
        if kind == "infinite":
            return f"{said} is not finite"
        if kind == "truth":
            return f"{said} is a truth value among numbers: write 1 and 0"
        if what == POINT:
            return f"{said} has {POINT}"
        return f"{said} has {brief(what)}: write numbers as -1234.5" if what else f"{said} is no number"


def _read(found, used):
    """The columns in these places, and whether commas in them are decimal commas."""
    columns = _columns(found, used, ".")
    if found.separator != ",":
        commas = Counter()
        for column in columns:
            if column.holds_numbers:
                commas.update({what: count for what, count in column.writings.items() if what in COMMAS})
        if commas[DECIMAL] and not commas[THOUSANDS]:  # 1,234 alone may be either
            return _columns(found, used, ","), True
    return columns, False


def _columns(found, used, decimal):
    columns = [_Column(found.names[place], place, decimal) for place in used]
    size, rows = max(CHUNK // len(found.names), 32), []

    def take():
        lines, cells = zip(*rows, strict=True)
        whole = list(zip(*cells, strict=True))
        for column in columns:
            column.take(whole[column.place], lines)
        rows.clear()

    for row in found.rows():
        rows.append(row)
        if len(rows) == size:
            take()
    if rows:
        take()
    elif not columns[0].parts:
        raise UserError(f"{found.file}: has a header and no rows")
    return columns


def _texts(found, places):
    """place -> the cells of such a column as text, None where they are missing."""
    texts = {place: [] for place in places}
    for _, cells in found.rows() if places else ():
        for place, column in texts.items():
            text = cells[place].strip()
            column.append(None if text.lower() in MISSING_WORDS else text)
    return texts


# -- what becomes of them ---------------------------------------------------------------------------------------------
def _judged(file, columns, asked, texts):
    """name -> values of the columns of y and X, and notes on the others; `UserError` on what has to be mended."""
    y, categorical = asked.y, asked.categorical
    values, wrong, holes, out, truths, words = {}, [], [], [], [], []
    for column in columns:
        option, levels = asked.option(column.name), sorted(set(texts.get(column.place, ())) - {None})
        named = column.name in (categorical or ()) or (option and levels)
        most = min(MOST_LEVELS, column.filled // 2)  # each of them twice, on the average
        if named or 1 < len(levels) <= most:
            values[column.name] = np.array(texts[column.place], dtype=object)
            words.append(f"{brief(column.name)} ({listed([brief(level) for level in levels], 6)})")
        elif not column.filled:
            (wrong if option else out).append(f"{option}{column.label} is empty")
        elif len(levels) > 1:
            many = f"{len(levels)} different texts are no categories, --categorical makes them some"
            out.append(f"{column.label}: {column.flaw()}; {many}")
        elif not column.holds_numbers:
            advice = f"; --categorical {column.name} makes classes of it" if asked.response_may_be(column) else ""
            (wrong if option else out).append(f"{option}{column.label}: {column.flaw()}{advice}")
        elif not column.pure:
            share = f"{column.count['number']} of {column.filled} cells are numbers"
            advice = "mend it" if option else "mend it, or name the columns of X with --x"
            wrong.append(f"{file}: {column.label}: {column.flaw()} ({share}); {advice}")
        elif _NAMELESS.fullmatch(column.name) and not option:
            if column.counts_rows:
                out.append(f"{column.label}: it counts the rows")
            else:
                said = f"{column.label} does not count the rows: give it a name, or name the columns of X with --x"
                wrong.append(f"{file}: {said}")
        else:
            values[column.name] = column.values
            if column.count["missing"]:
                where = f"{column.count['missing']}, the first in line {column.first['missing'][0]}"
                holes.append(f"{brief(column.name)} ({where})")
            if column.count["truth"]:
                truths.append(shown(column.name))
    if holes and categorical is None:
        wrong.append(f"{file}: missing values in {listed(holes, 4)}: leave such rows out")
    if not wrong and not set(values) - {y, asked.weights}:
        wrong.append(f"{file}: no numeric column besides {shown(y)} to be X" + (f" ({out[0]})" if out else ""))
    if wrong:
        more = [f"{file}: and {len(wrong) - LINES} more columns like these"] if len(wrong) > LINES else []
        raise UserError("\n".join(wrong[:LINES] + more))
    notes = [f"left out: {said}" for said in out[:LINES]]
    notes += [f"left out: {len(out) - LINES} more columns without numbers"] if len(out) > LINES else []
    notes += [f"truth values read as 1 (true, yes) and 0 (false, no): {listed(truths)}"] if truths else []
    notes += [f"categories: {listed(words)}"] if words else []
    return values, notes
