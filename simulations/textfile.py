"""A user's file as text: unpacked where it is compressed, decoded, and refused in one line where it is no text.

What a file is is told from its first bytes, not from its name: names lie more often.
"""

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import stat
import zipfile

from . import UserError
from .messages import visible

LARGEST = 1 << 30  # bytes, unpacked: the text and the table have to fit into memory
PIECE = 1 << 20  # bytes unpacked at once
_NEWLINE = b"\n"
_MENDING = "save it as a CSV file"
_FOREIGN = [  # (first bytes, what has them)
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"CDF\x01", "a netCDF file"),
    (b"CDF\x02", "a netCDF file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"ARROW1", "an Arrow file"),
    (b"FEA1", "a Feather file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"RDX", "an R workspace"),
    (b"RDA", "an R workspace"),
    (b"X\n\0\0", "an R object"),
    (b"$FL2", "an SPSS file"),
    (b"<stata_dta>", "a Stata file"),
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
]
_PACKED = [  # (first bytes, the archive), of which none is unpacked here
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x04\x22\x4d\x18", "an LZ4 archive"),
    (b"\x1f\x9d", "a compress archive"),
    (b"MSCF", "a cabinet archive"),
]
_BOMS = [  # UTF-32 first: its mark begins as that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]


def read_text(path):
    """(the text of a file, notes on how it was read).

    Raises
    ------
    UserError
        One line: the file is not there, no regular file, empty, too large, damaged, or no text.
    """
    name = visible(path)
    data = _content(path, name)
    data, notes = _unpacked(data, name)
    text, said = _decoded(data, name)
    _refuse_markup(text, name)
    return text, notes + said


def _content(path, name):
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise UserError(f"{name}: is a folder; name a file in it")
        if not stat.S_ISREG(mode):  # to open a pipe may mean to wait for ever
            raise UserError(f"{name}: a pipe or a device, no file: write the table to a file first")
        with open(path, "rb") as file:
            return _drained(_pieces(file), name)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror or error}") from None
    except UserError:
        raise
    except ValueError as error:  # a name that no file can have
        raise UserError(f"{name}: cannot be read: {error}") from None


def _drained(pieces, name):
    """Pieces of a file in one, which may unpack to much more than it holds."""
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > LARGEST:
            raise UserError(f"{name}: a table of more than {LARGEST >> 20} MiB: take fewer rows or columns")
    if not data or data.isspace():
        raise UserError(f"{name}: is empty")
    return data


# -- archives ---------------------------------------------------------------------------------------------------------
def _unpacked(data, name):
    """The data unpacked, once or (an archive in an archive) twice, and a note on it."""
    notes = []
    for _ in range(3):
        unpack, what = _archive(data)
        if not unpack:
            break
        try:
            data = unpack(data, name)
        except UserError:
            raise
        except Exception as error:  # on damaged archives the libraries raise nearly everything
            raise UserError(f"{name}: a damaged {what} archive: {_reason(error)}") from None
        notes.append(f"unpacked from a {what} archive")
    if unpack:
        raise UserError(f"{name}: archives in archives: unpack it first")
    for first, what in _PACKED:
        if data.startswith(first):
            raise UserError(f"{name}: {what}: unpack it first")
    if data[257:262] == b"ustar":
        raise UserError(f"{name}: a tar archive: unpack it first")
    for first, what in _FOREIGN:
        if data.startswith(first):
            raise UserError(f"{name}: {what}, not a CSV table: {_MENDING}")
    return data, notes


def _archive(data):
    """(function of data and their name, which kind) of the archive that data are, if any."""
    if data.startswith(b"\x1f\x8b"):
        return lambda data, name: _drained(_pieces(gzip.GzipFile(fileobj=io.BytesIO(data))), name), "gzip"
    if data.startswith(b"BZh"):
        return lambda data, name: _drained(_streams(bz2.BZ2Decompressor, data), name), "bzip2"
    if data.startswith(b"\xfd7zXZ\x00"):
        return lambda data, name: _drained(_streams(lzma.LZMADecompressor, data), name), "xz"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _only_member, "zip"
    return None, ""


def _pieces(file):
    return iter(lambda: file.read(PIECE), b"")


def _streams(decompressor, data):
    """Pieces of what streams one after the other hold.

    The standard library's files end in silence before a stream that does not begin as one: rows would be lost.
    """
    while data:
        stream = decompressor()
        yield stream.decompress(data, PIECE)
        while not stream.eof:
            if stream.needs_input:
                raise EOFError("it ends within a stream")
            yield stream.decompress(b"", PIECE)
        data = stream.unused_data.lstrip(b"\0")  # zeros are padding


def _only_member(data, name):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
        names = [member.filename for member in members]
        if "[Content_Types].xml" in names or "mimetype" in names:
            raise UserError(f"{name}: a workbook or document of an office program, not a CSV table: {_MENDING}")
        if names and all(name.endswith(".npy") for name in names):
            raise UserError(f"{name}: NumPy arrays, not a CSV table: {_MENDING}")
        if len(members) != 1:
            raise UserError(f"{name}: a zip archive of {len(members)} files: unpack it and name one")
        if members[0].flag_bits & 1:
            raise UserError(f"{name}: a zip archive with a password: unpack it first")
        with archive.open(members[0]) as member:
            return _drained(_pieces(member), name)


def _reason(error):
    return visible(str(error) or type(error).__name__)[:120]


# -- text -------------------------------------------------------------------------------------------------------------
def _decoded(data, name):
    """The text, and a note where it is not UTF-8."""
    encoding, said = "utf-8", []
    for mark, marked in _BOMS:
        if data.startswith(mark):
            encoding, data = marked, data[len(mark) :]
            break
    else:
        # most characters of a table are ASCII, of which UTF-16 makes a zero byte and another
        zeros = [data[first:1024:2].count(0) for first in (0, 1)]
        if max(zeros) > 0.8 * len(data[:1024:2]) and min(zeros) == 0:
            encoding = "utf-16-le" if zeros[1] else "utf-16-be"
    if encoding != "utf-8":
        said = [f"read as {encoding[:6].upper()}"]
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        text, said = _legacy(data, name, encoding, error)
    text = text.rstrip("\x1a")  # how DOS ends a text
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{name}: line {line} holds a zero byte: the file is damaged, or no text")
    if not text.strip():
        raise UserError(f"{name}: is empty")
    return text, said


def _legacy(data, name, encoding, error):
    """The text in the legacy code page of Windows, for names; numbers are ASCII in every one."""
    where = f"byte {error.start + 1}"
    if encoding == "utf-8":
        where = f"line {1 + data.count(_NEWLINE, 0, error.start)}"
    broken = UserError(f"{name}: {where}: not {encoding[:6].upper()}: damaged, or no text; save it as UTF-8")
    if encoding != "utf-8" or re.search(rb"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]", data):
        raise broken
    read = data.decode("utf-8", errors="replace")
    if sum(c > "\x7f" for c in read) > 2 * read.count("\ufffd"):
        raise broken  # most of it is UTF-8
    try:
        return data.decode("cp1252"), ["not UTF-8: read as Windows-1252, so that names may look odd"]
    except UnicodeDecodeError:
        raise broken from None


def _refuse_markup(text, name):
    start = text[:200].lstrip("\ufeff \t\r\n")
    if re.match(r"<(!doctype|!--|\?xml|html|head|body|table|svg|[a-z]+:)", start, re.IGNORECASE):
        raise UserError(f"{name}: HTML or XML, not a CSV table: {_MENDING}")
    if re.match(r'\[\s*[\[{]|\{\s*(["}]|$)', start):
        raise UserError(f"{name}: JSON, not a CSV table: {_MENDING}")
