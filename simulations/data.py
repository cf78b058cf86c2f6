"""A user's own table: y and the columns of X as their owner means them, or one line that says what has to be mended.

Nothing is guessed where two readings would do. A column that holds no numbers is left out, and named; one that holds
mostly numbers is not, as what is wrong with it is a mistake: whoever means to do without it names the others.
"""

import difflib
import re
from collections import Counter

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
_PLAIN = re.compile(r"[0-9eE+\-. \n]*")
_NAMELESS = re.compile(r"|Unnamed: \d+(\.\d+)*")  # the latter is what pandas calls a column without a name


def read_table(path, y, x=None):
    """Read a CSV table.

    Parameters
    ----------
    path : path
        A text file with a header, in UTF-8, UTF-16 or Windows-1252, perhaps compressed. Cells are separated by commas,
        semicolons, tabs, bars or blanks, whichever make `y` a column of even rows.
    y : str
        Name of the column of the response.
    x : sequence of str, optional
        Names of the columns of X; by default all that hold numbers or truth values, other than `y`.

    Returns
    -------
    X : DataFrame, (n, d)
    y : Series, (n,)
    notes : list of str
        What was left out, and what was read in another way than it stands there.

    Raises
    ------
    UserError
        A line for each problem: the column, the line of the file, and the cell.
    """
    y, x = tidy(y), list(dict.fromkeys(map(tidy, x))) if x else None
    text, notes = read_text(path)
    found = layout(text, visible(path), [y, *(x or ())])
    notes = [*notes, *found.notes]
    used = _used(found, y, x)
    columns, comma = _read(found, used)
    if comma:
        notes.append("commas read as decimal commas")
    values, said = _judged(found.file, columns, y, x)
    response = pd.Series(values.pop(y), name=y)
    names = x or list(values)
    return pd.DataFrame(np.column_stack([values[name] for name in names]), columns=names), response, notes + said


# -- which columns ----------------------------------------------------------------------------------------------------
def _used(found, y, x):
    """Places of the columns that are read, after a check of their names."""
    names = found.names
    for option, name in (("--y", y), *(("--x", name) for name in x or ())):
        if name not in names or not name:
            raise UserError(f"{option}: {_not_there(found, name)}")
    if x is not None and y in x:
        raise UserError(f"--x: {shown(y)} is the response, --y")
    used = [place for place, name in enumerate(names) if x is None or name == y or name in x]
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


# -- what becomes of them ---------------------------------------------------------------------------------------------
def _judged(file, columns, y, x):
    """name -> values of the columns of y and X, and notes on the others; `UserError` on what has to be mended."""
    values, wrong, holes, out, truths = {}, [], [], [], []
    for column in columns:
        option = "--y: " if column.name == y else "--x: " if x else ""
        if not column.filled:
            (wrong if option else out).append(f"{option}{column.label} is empty")
        elif not column.holds_numbers:
            (wrong if option else out).append(f"{option}{column.label}: {column.flaw()}")
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
    if holes:
        wrong.append(f"{file}: missing values in {listed(holes, 4)}: leave such rows out")
    if not wrong and len(values) < 2:
        wrong.append(f"{file}: no numeric column besides {shown(y)} to be X" + (f" ({out[0]})" if out else ""))
    if wrong:
        more = [f"{file}: and {len(wrong) - LINES} more columns like these"] if len(wrong) > LINES else []
        raise UserError("\n".join(wrong[:LINES] + more))
    notes = [f"left out: {said}" for said in out[:LINES]]
    notes += [f"left out: {len(out) - LINES} more columns without numbers"] if len(out) > LINES else []
    notes += [f"truth values read as 1 (true, yes) and 0 (false, no): {listed(truths)}"] if truths else []
    return values, notes
