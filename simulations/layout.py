"""How a text holds a table: comment lines, the header, what separates cells, and the rows.

Of several separators the one is taken that makes the wanted names columns of even rows.
"""

import csv
import re
import unicodedata
from dataclasses import dataclass
from itertools import islice

from . import UserError
from .messages import listed, shown
from .numerals import NUMBER

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
HEAD = 30  # rows by which the separator is told
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # the first line of what Excel writes


@dataclass(frozen=True)
class Layout:
    """Where in a text a table stands, and how it is written."""

    file: str  # its name, for messages
    text: str
    names: tuple  # of the columns
    separator: str
    start: int  # place in `text` of the first row
    line: int  # its line, from 1
    header: bool  # the first row is the header
    notes: tuple  # what was read in another way than it stands there

    def rows(self):
        """(number of its first line, cells) of every row under the header that is not blank.

        Raises
        ------
        UserError
            If a row has not as many cells as the header has names, or quotes do not close.
        """
        rows = _rows(self.text, self.start, self.line, self.separator, self.file)
        for line, cells in islice(rows, int(self.header), None):
            if len(cells) != len(self.names):
                raise UserError(f"{self.file}: line {line} has {self._misfit(cells)}")
            yield line, cells

    def _misfit(self, cells):
        said = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}, the header has {len(self.names)}"
        if cells[0].lstrip().startswith("#"):
            return f"{said}: comments may stand above the header only"
        if len(cells) < len(self.names):
            return f"{said}: fill the row up, or take it out"
        if not any(cell.strip() for cell in cells[len(self.names) :]):
            return f"{said}: it ends with a separator that the header lacks; take that out, or name the column"
        if len(cells) == 2 * len(self.names) and self.separator == ",":
            return f"{said}: are there decimal commas? Separate cells by semicolons"
        separators = SEPARATORS.get(self.separator, "separators")
        return f"{said}: name every column (row names, too), and quote cells that hold {separators}"


def layout(text, file, wanted):
    """The `Layout` of a text in which the columns `wanted` are looked for.

    Raises
    ------
    UserError
        If there is no header.
    """
    start, line, comments, separator = _head(text)
    notes = [f"comment lines skipped: {len(comments)}, the first is line {comments[0][0]}"] if comments else []
    separators = [separator] if separator else list(SEPARATORS)
    guess = _best(text, start, line, separators, wanted, file)
    if not guess.named and comments:  # the header may be one of them: "# x,y"
        number, place = comments[-1]
        above = _LINE.match(text, place)[0].strip("\ufeff \t\r\n#")
        other = _best(text, start, line, separators, wanted, file, above)
        if other.named and other.even:
            guess, notes = other, [*notes, f"names of the columns are taken from the comment in line {number}"]
    if guess.below:
        raise UserError(f"{file}: line {guess.below} is the header: take out the lines above it, or begin them with #")
    names = tuple(map(tidy, guess.header))
    if guess.separator != "," and len(names) > 1:
        notes.append(f"separated by {SEPARATORS.get(guess.separator, shown(guess.separator))}")
    if all(NUMBER.fullmatch(name) for name in names):
        counts = [[str(first + c) for c in range(len(names))] for first in (0, 1)]
        if not guess.named or list(names) not in counts:
            said = f"line {line} holds the numbers {listed([shown(name) for name in names], 4)}"
            raise UserError(f"{file}: no header: {said}; put a line with the names of the columns first")
        notes.append("the numbers in the first line are taken for names of columns")
    return Layout(file, text, names, guess.separator, start, line, guess.first, tuple(notes))


def tidy(name):
    """A name of a column as it is looked for: without blanks around, in composed characters."""
    return unicodedata.normalize("NFC", name).strip("\ufeff").strip()


def _head(text):
    """(start, line) of the first line that is neither blank nor a comment; the comments; a separator that is stated."""
    comments, separator, line, start = [], None, 1, len(text)
    for found in _LINE.finditer(text):
        content = found[0].strip(" \r\n\ufeff")
        stated = _SEPARATOR_LINE.fullmatch(content)
        if content.startswith("#"):
            comments.append((line, found.start()))
        elif stated and not separator:
            separator = stated[1]
        elif content:
            start = found.start()
            break
        line += 1
    return start, line, comments, separator


@dataclass(frozen=True)
class _Guess:
    separator: str
    header: list
    first: bool  # the header is the first row
    named: bool  # all wanted names are in it
    below: int  # line of the first row below that holds them instead and, where rows are even, nothing but names; or 0
    even: bool  # rows have as many cells


def _best(text, start, line, separators, wanted, file, above=None):
    """The `_Guess` of the separator under which the names are there and the rows even; the first of equals."""
    guesses = []
    for separator in separators:
        head, even = _begin(text, start, line, separator, file)
        above_it = head if above is None else _begin(above, 0, line, separator, file)[0]
        if not above_it:  # quotes do not close under this separator, or there is no row
            continue
        header = above_it[0][1]
        lines = [number for number, cells in head if set(map(tidy, cells)).issuperset(wanted)]
        named = set(map(tidy, header)).issuperset(wanted)
        even = even and all(len(cells) == len(header) for _, cells in head)
        if even:  # what looks like a row of texts may be one
            lines = [number for number, cells in head if number in lines and all(map(_is_name, cells))]
        below = 0 if named else min(lines, default=0)
        guesses.append(_Guess(separator, header, above is None, named, below, even))
    if not guesses:
        list(_rows(text, start, line, separators[0], file))  # says so, if quotes do not close
        raise UserError(f"{file}: holds no table, but comments or blank lines only")
    several = [guess for guess in guesses if len(guess.header) > 1 or guess.below]
    return max(several or guesses, key=lambda guess: (guess.named, guess.below > 0, guess.even))


def _is_name(cell):
    return bool(cell.strip()) and not NUMBER.fullmatch(cell.strip())


def _begin(text, start, line, separator, file):
    """The first rows, and whether their quotes close."""
    head = []
    try:
        for row in islice(_rows(text, start, line, separator, file), HEAD):
            head.append(row)
    except UserError:
        return head, False
    return head, True


def _rows(text, start, line, separator, file):
    """(number of its first line, cells) of every row that is not blank, from a place in the text, of this line, on."""
    lines = (found[0] for found in _LINE.finditer(text, start))
    if separator == " ":
        lines = (one.replace("\t", " ").strip() + "\n" for one in lines)
    reader, before = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True), 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UserError(f"{file}: line {line + before}: {error}; look for a quote that does not close") from None
        if cells is None:
            return
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield line + before, cells
        before = reader.line_num
