"""Users' files: what may be read, TOML within limits, and all that is written, which is written whole or not at all.

A path is a user's: it may be too long, lead round in links, or name a folder, a pipe or a device. No other module
writes users' files but the store, whose file SQLite writes.
"""

import errno
import io
import os
import re
import stat
import tomllib
from contextlib import contextmanager
from pathlib import Path

from . import UserError

LARGEST_TOML = 10**6  # bytes
SHOWN = 400  # characters of a path in a message
DOTS = 50  # in one key: parsing takes their square
NO_KEYS = r"""(?x) "(?:[^"\\\n]|\\.)*+" | '[^'\n]*+' | \#[^\n]* """  # strings and comments


def refusal(path):
    """Why `path` is no ordinary file, in words; None if it is one, or nothing is there yet."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"cannot be reached: {error.strerror}"
    except ValueError:
        return "cannot be reached: its name holds a zero byte"
    if stat.S_ISREG(mode):
        return None
    return "is a folder, not a file" if stat.S_ISDIR(mode) else "is a device or a pipe, not a file"


def folder_refusal(path):
    """Why no file can be put into the folder `path`, which need not be there yet; None if one can."""
    for folder in (path, *path.absolute().parents):
        try:
            if not stat.S_ISDIR(os.stat(folder).st_mode):
                return f"{folder} is not a folder"
            return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} cannot be written to"
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return error.strerror
    return None


def in_a_line(path):
    """A path as part of a message of one line; of a very long one the middle is left out."""
    text = str(path).replace("\n", "\\n").replace("\r", "\\r")
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 2 :]}"


def same_file(first, second):
    """True if two paths, of which either may lead nowhere, lead to one file."""
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):
        return False


def read_toml(file):
    """The values of a TOML file.

    Parameters
    ----------
    file : Path or Traversable
        Encoded as UTF-8, with or without a byte order mark; lines may end as on Windows.

    Raises
    ------
    UserError
        If the file cannot be read, is longer than a million bytes, is not TOML, or nests too deeply: one line.
    """
    text = read_text(file)
    where = in_a_line(file)
    if any(part.count(".") > DOTS for part in re.split(r"[,=\[\]{}\n]", re.sub(NO_KEYS, "_", text))):
        raise UserError(f"{where}: not a study: more than {DOTS} dots in one key")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where}: not a TOML file: {error}") from None
    except ValueError:  # Python's own limit
        raise UserError(f"{where}: not a TOML file: a number of thousands of digits") from None
    except RecursionError:
        raise UserError(f"{where}: not a study: lists or tables nest too deeply") from None


def read_text(file):
    """The text of a file of at most a million bytes in UTF-8; `UserError` in one line if it is none."""
    where = in_a_line(file)
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_TOML + 1)
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_TOML:
        raise UserError(f"{where}: too long for a study: more than {LARGEST_TOML} bytes")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise UserError(f"{where}: not a text file in UTF-8 (in UTF-16?): save it with the encoding UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x} in line {line}"
        raise UserError(f"{where}: not a text file in UTF-8 ({found}): save it with the encoding UTF-8") from None


def read_csv(file):
    """A table that `hmoe` has written, as a DataFrame; `UserError` in one line if it cannot be read, or is none."""
    import pandas as pd

    try:
        return with_words(pd.read_csv(file, dtype={"k2": str}))
    except OSError as error:
        raise UserError(f"{in_a_line(file)}: cannot be read: {error.strerror}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        why = str(error).replace("\n", " ").strip()
        raise UserError(f"{in_a_line(file)}: not a table: {why}") from None


def with_words(table):
    """A table whose columns of words have "" where they are empty, as it was before it was written."""
    words = {name: "" for name in table if name in ("k2", "limit", "note") or name.startswith("verdict")}
    empty = {name: object for name in words if table[name].dtype == float}  # all of it is missing
    return table.astype(empty).fillna(words)


def as_written(table, digits=None):
    """A table as `read_csv` reads it once `write_table` wrote it."""
    import pandas as pd

    file = io.StringIO(_csv(table, None, digits))
    return with_words(pd.read_csv(file, dtype={"k2": str}))


# -- what is written --------------------------------------------------------------------------------------------------
def make_folder(path):
    """Make a folder, and those above it, where they are not there yet; `UserError` in one line if that fails."""
    with _refused(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def written_whole(path):
    """A path to write to in place of `path`, which gets what was written if all goes well, and is as it was if not.

    A link goes on pointing to the file that it points to; a device or a pipe is written to as it comes.

    Raises
    ------
    UserError
        If the file cannot be written: one line.
    """
    with _refused(path):
        try:
            kind = path.stat().st_mode
        except FileNotFoundError:
            kind = stat.S_IFREG
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(kind):
            yield path
            return
        target = Path(os.path.realpath(path))
        part = target.with_name(target.name + ".part")
        try:
            yield part
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def _refused(path):
    try:
        yield
    except OSError as error:
        raise UserError(f"{in_a_line(path)}: cannot be written: {error.strerror or error}") from None


def write_text(path, text):
    """Write a text in UTF-8, its lines as they are; errors as of `written_whole`."""
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_table(path, table, digits=None):
    """Write a DataFrame as CSV, floats with so many digits (by default all); errors as of `written_whole`."""
    with written_whole(path) as part:
        _csv(table, part, digits)


def _csv(table, file, digits):
    return table.to_csv(file, index=False, lineterminator="\n", float_format=digits and f"%.{digits}g")


def write_figure(path, figure, salt=""):
    """Write a matplotlib figure as the format that the end of `path` names; errors as of `written_whole`.

    Equal figures make equal files: SVG has no date, the text as text, and names of its parts that come from `salt`.
    """
    import matplotlib

    from hmoe_stats.plotting.looks import settle

    settle(figure)
    kind = path.suffix[1:]
    options = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": 200}
    look = {"svg.hashsalt": salt, "svg.fonttype": "none"}
    with written_whole(path) as part, matplotlib.rc_context(look):
        figure.savefig(part, format=kind, **options)
