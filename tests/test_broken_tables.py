"""`hmoe fit` on broken tables: a result whose every number is finite, or lines that say what to mend and exit code 2.

Tables are made from a sound one by changes drawn at random: some leave what it says as it is, and must not change the
fit by a bit, others damage it. The same in every run; with HMOE_FUZZ=20000 in the environment about ten times as many.
"""

import bz2
import gzip
import io
import json
import lzma
import math
import os
import signal
import zipfile

import numpy as np
import pytest
from conftest import scale
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations.cli import app

TOTAL = scale(int(os.environ.get("HMOE_FUZZ", "2000")) // 4, 10)
BATCHES = 10
LONGEST = 20.0  # seconds of this process for one table
ROWS = 14


class Hang(Exception):
    pass


def one_of(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def sound(rng):
    """A table as rows of texts, the header first."""
    X = rng.normal(size=(ROWS, 2)) * 10.0 ** rng.integers(-3, 4)
    y = X[:, 0] + rng.normal(size=ROWS)
    return [["x", "z", "y"], *([repr(float(v)) for v in row] for row in np.column_stack([X, y]))]


# -- changes that leave what a table says as it is: of its rows, its text, its bytes ----------------------------------
def with_words(rng, rows):
    word = one_of(rng, ["a", "row 1", "2020-01-01", "S01", "", "-", "NA", "é", '"']).replace('"', '"a ""b"""')
    place = int(rng.integers(len(rows[0]) + 1))
    return [[*row[:place], "name" if i == 0 else word, *row[place:]] for i, row in enumerate(rows)]


def with_row_numbers(rng, rows):
    first = int(rng.integers(2))
    name = one_of(rng, ["", '""', "Unnamed: 0"])
    return [[name if i == 0 else str(i - 1 + first), *row] for i, row in enumerate(rows)]


def in_quotes(rng, rows):
    return [[cell if cell.startswith('"') else f'"{cell}"' for cell in row] for row in rows]


def padded(rng, rows):
    return [[" " * int(rng.integers(3)) + cell for cell in row] for row in rows]


def in_lines(rng, text):
    return text.replace("\n", one_of(rng, ["\r\n", "\r", "\n\n"]))


def commented(rng, text):
    return one_of(rng, ["# made by hand\n", "#\n\n# a, b\n", "\n", "  \n"]) + text


def encoded(rng, text):
    return text.encode(one_of(rng, ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]))


def packed(rng, data):
    kind = int(rng.integers(4))
    if kind == 3:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("data.csv"), data)
        return file.getvalue()
    return (lambda data: gzip.compress(data, mtime=0), bz2.compress, lzma.compress)[kind](data)


# -- changes that damage it -------------------------------------------------------------------------------------------
ODD_CELLS = [
    "n/k", "", "NA", "inf", "-Infinity", "nan", "1e999", "1e60", "1e-400", "\u22121.5", "1,5", "1.234,5", "1,234.5",
    "$3", "5%", "1 kg", "true", "no", "1_000", "0x1F", "\uff11", "1" * 400, "a" * 140_000, '"', "'", '"1', '1"', "#",
    "\x00", "\x1b[2J", "\n", "\r", "\u2028", "\u202e", "\ufeff", "=1+1", "1;2", "1\t2", "1|2", "1 2", " ", "\\", "\\N",
    "--", "1e", "\ud7ff",
]  # fmt: skip
ODD_NAMES = [
    "", "x", "y", "Y", " y", "$x$", "\x1b]0;a\x07", "a\nb", "温度", "x" * 5000, "1", "nan", '"', "#y", "y,y", "'y'",
    "\u202ey", "Unnamed: 0", "x.1", "{", "<x>", "[x]", "\ufeffy", "é", "e\u0301", "__proto__", "eta[x]", "\\", "%s",
    "{0}",
]  # fmt: skip
TITLES = ["My data\n", "Table 1: x, y\n\n", "sep=,\n", "sep=;\n", "%!\n", "<html>\n", '{"a": 1}\n']
REPLACED = [
    (",", ";"), (",", "\t"), (",", " "), (",", "~"), (".", ","), ("-", "\u2212"), (",", ", "), (",", ",,"), ("\n", ""),
]  # fmt: skip
STRAY = ['"', "'", ",", ";", "\n", "\t", "#", "\\", "\x00", "é", "\ufeff", "\x1a"]
MARKS = [b"\x1f\x8b", b"PK\x03\x04", b"BZh9", b"\xfd7zXZ\x00", b"PAR1", b"\xff\xfe", b"\xfe\xff", b"\0"]


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\r\n') else cell


def odd_cells(rng, rows):
    cell, count = one_of(rng, ODD_CELLS), int(rng.choice([1, 1, 3, ROWS]))
    cell = quoted(cell) if rng.random() < 0.7 else cell
    column = int(rng.integers(len(rows[0])))
    where = set(rng.choice(np.arange(1, len(rows)), min(count, len(rows) - 1), replace=False).tolist())
    return [[cell if i in where and j == column else c for j, c in enumerate(row)] for i, row in enumerate(rows)]


def odd_names(rng, rows):
    head = list(rows[0])
    name = one_of(rng, ODD_NAMES)
    head[int(rng.integers(len(head)))] = quoted(name) if rng.random() < 0.7 else name
    return [head, *rows[1:]]


def uneven(rng, rows):
    which = rng.random(len(rows)) < rng.choice([0.1, 0.5, 1.0])
    longer = rng.random() < 0.5
    return [([*row, row[0]] if longer else row[:-1]) if cut else row for row, cut in zip(rows, which, strict=True)]


def few(rng, rows):
    return rows[: int(rng.integers(1, 6))]


def no_header(rng, rows):
    return rows[1:] or rows


def shuffled(rng, rows):
    return [rows[i] for i in rng.permutation(len(rows))]


def repeated(rng, rows):
    return [row * int(rng.choice([2, 50])) for row in rows]


def titled(rng, text):
    return one_of(rng, TITLES) + text


def replaced(rng, text):
    return text.replace(*one_of(rng, REPLACED), one_of(rng, [-1, -1, 1, 5]))


def stray(rng, text):
    place = int(rng.integers(len(text) + 1))
    return text[:place] + one_of(rng, STRAY) + text[place:]


def mixed_encodings(rng, text):
    place = int(rng.integers(len(text) + 1))
    kinds = rng.choice(["utf-8", "utf-16", "cp1252", "utf-16-be", "utf-32"], 2)
    return b"".join(
        part.encode(str(kind), errors="replace") for part, kind in zip((text[:place], text[place:]), kinds, strict=True)
    )


def flipped(rng, data):
    out = bytearray(data)
    for place in rng.integers(0, max(len(out), 1), int(rng.choice([1, 3, 30]))) if out else ():
        out[int(place)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def cut(rng, data):
    return data[: int(rng.integers(len(data) + 1))]


def spliced(rng, data):
    first, last = np.sort(rng.integers(0, len(data) + 1, 2)).tolist()
    return data[:first] + rng.bytes(int(rng.integers(40))) + data[last if rng.random() < 0.5 else first :]


def marked(rng, data):
    return one_of(rng, MARKS) + data


HARMLESS = [with_words, with_row_numbers, in_quotes, padded], [in_lines, commented], [packed]
HARMFUL = (
    [odd_cells, odd_cells, odd_names, uneven, few, no_header, shuffled, repeated],
    [titled, replaced, stray],
    [flipped, cut, spliced, marked],
)


def broken(rng):
    """(bytes of a table, the sound table if it says the same, else None)"""
    rows, harmless = sound(rng), rng.random() < 0.25
    steps = [[*less, *(() if harmless else more)] for less, more in zip(HARMLESS, HARMFUL, strict=True)]

    def changed(value, stage):
        for change in rng.permutation(len(steps[stage]))[: int(rng.integers(1, 3))].tolist():
            if rng.random() < 0.4:
                value = steps[stage][change](rng, value)
        return value

    table = changed(rows, 0)
    separator = one_of(rng, [",", ",", ";", "\t", "|"])
    text = changed("".join(separator.join(row) + "\n" for row in table), 1)
    encode = encoded if harmless or rng.random() < 0.8 else mixed_encodings
    return changed(encode(rng, text), 2), rows if harmless else None


# -- what must hold ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", autouse=True)
def compiled():
    hs.fit_mle(np.arange(8.0), [1.0, 0, 2, 1, 3, 1, 2, 5], "SS", (1,))


def attempt(words):
    def stop(*_):
        raise Hang

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        return CliRunner().invoke(app, words)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def numbers_in(value):
    if isinstance(value, dict | list):
        return [n for item in (value.values() if isinstance(value, dict) else value) for n in numbers_in(item)]
    return [value] if isinstance(value, int | float) else []


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_broken_table_ends_in_a_result_or_in_lines(batch, tmp_path):
    ends = {0: 0, 2: 0}
    for number in range(batch, TOTAL, BATCHES):
        rng = np.random.default_rng([20250301, number])
        content, rows = broken(rng)
        path = tmp_path / f"table{['.csv', '.txt', '.csv.gz', '.zip', ''][number % 5]}"
        path.write_bytes(content)
        done = attempt(["fit", str(path), "--y", "y", "--gating", "SS", "--k2", "1", "--json"])
        told = f"table {number}: {content[:300]!r}\n{done.output[:2000]}"
        assert done.exception is None or isinstance(done.exception, SystemExit), told + repr(done.exception)
        assert done.exit_code in ends, told
        ends[done.exit_code] += 1
        said = done.stderr.split("\n")
        assert said.pop() == "", told
        for line in said:
            assert line.startswith("hmoe: "), told
            assert line.isprintable(), told
            assert len(line) < 500 + len(str(path)), told
        if done.exit_code == 2:
            assert said, told
            assert done.stdout == "", told
            assert rows is None, told
            continue
        assert all(line.startswith("hmoe: note: ") for line in said), told
        found = json.loads(done.stdout, parse_constant=pytest.fail)
        assert all(map(math.isfinite, numbers_in(found))), told
        assert found["parameters"]["nu"][0] > 0, told
        if rows:
            values = np.array(rows[1:], dtype=float)
            assert found["log_likelihood"] == hs.fit(values[:, :2], values[:, 2], "SS", (1,)).log_likelihood, told
    assert min(ends.values()) > 0
