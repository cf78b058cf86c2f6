"""One writer a file: a lock on the file itself, whatever it is called, held by the operating system until it is closed.

The lock is on one byte of the file, beyond those that SQLite locks, so that readers do not notice it. There is no file
of locks that could be left behind, and a killed holder holds nothing. Two things follow from POSIX, where a process
loses its locks on a file (SQLite's, too) whenever it closes any descriptor of it. On Linux the byte belongs to the
descriptor instead. And a process opens a file once for all who use it here, and closes it after the last of them.
"""

import os
import stat
import struct
import sys
import threading
from contextlib import suppress

try:
    import fcntl
except ImportError:  # not on Windows: there, two writers are not noticed
    fcntl = None

BYTE = 0x40000000 + 512  # SQLite locks the 512 bytes before, at most
SHARED = 0x40000000 + 2, 510  # what its readers share, and who folds a log into a file has alone
OWN = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK")  # locks of descriptors, not of processes
EPOCH = 60  # place of SQLite's user_version in its header, four bytes

_handles = {}  # (device, inode) -> Handle
_guard = threading.RLock()


class Handle:
    """A file that is open here, under one of its names; made by `opened`, closed by each user once."""

    def __init__(self, key):
        self.key, self._fds, self._write, self._users, self._locked = key, [], False, 0, False

    def at(self, path):
        """True if `path` leads to this file."""
        try:
            return _key(os.stat(path)) == self.key
        except OSError:
            return False

    def take(self):
        """Become the writer; False if somebody is."""
        with _guard:
            if self._locked or not (fcntl is None or _set(self._fds[-1], fcntl.F_WRLCK)):
                return False
            self._locked = True
            return True

    def release(self):
        """Be the writer no longer."""
        with _guard:
            if self._locked and fcntl is not None:
                _set(self._fds[-1], fcntl.F_UNLCK)
            self._locked = False

    def taken(self):
        """True if there is a writer, here or elsewhere."""
        with _guard:
            return self._locked or (fcntl is not None and _held(self._fds[-1]))

    def epoch(self):
        """The user_version in the file as it lies on the disk, without what is in SQLite's log; None without one."""
        with _guard:
            os.lseek(self._fds[-1], EPOCH, os.SEEK_SET)
            got = os.read(self._fds[-1], 4)
        return int.from_bytes(got, "big") if len(got) == 4 else None

    def keep_from_folding(self):
        """Keep SQLite, when it closes the file, from folding its log into it, where locks are of descriptors."""
        if OWN:
            with suppress(OSError):
                _set(self._fds[-1], fcntl.F_RDLCK, *SHARED)

    def close(self):
        """Give it up."""
        with _guard:
            self._users -= 1
            if not self._users:
                del _handles[self.key]
                for fd in self._fds:
                    os.close(fd)


def opened(path, write=False):
    """The `Handle` of a file, which is made if it is to be written.

    Raises
    ------
    OSError
        If it cannot be opened, or is no file.
    """
    with _guard:
        handle = None
        try:
            handle = _handles.get(_key(os.stat(path)))
        except OSError:
            if not write:
                raise
        if handle is None or (write and not handle._write):
            flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
            fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                os.close(fd)
                raise OSError(0, "not a file")
            handle = _handles.setdefault(_key(found), Handle(_key(found)))
            handle._fds.append(fd)
            handle._write = handle._write or write
        handle._users += 1
        return handle


def being_written(path):
    """True if a run has the file `path` open for writing, under this name or another."""
    try:
        handle = opened(path)
    except OSError:
        return False
    try:
        return handle.taken()
    finally:
        handle.close()


def _key(found):
    return found.st_dev, found.st_ino


def _set(fd, kind, start=BYTE, length=1):
    """Lock bytes of a file, or unlock them; False if another has them."""
    try:
        if OWN:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(kind, start, length))
        else:
            how = {fcntl.F_WRLCK: fcntl.LOCK_EX, fcntl.F_RDLCK: fcntl.LOCK_SH, fcntl.F_UNLCK: fcntl.LOCK_UN}[kind]
            fcntl.lockf(fd, how | (0 if kind == fcntl.F_UNLCK else fcntl.LOCK_NB), length, start)
        return True
    except (BlockingIOError, PermissionError):
        return False


def _held(fd):
    """True if a writer elsewhere has the byte."""
    if OWN:
        return _kind(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_RDLCK, BYTE, 1))) != fcntl.F_UNLCK
    free = _set(fd, fcntl.F_RDLCK)
    if free:
        _set(fd, fcntl.F_UNLCK)
    return not free


def _flock(kind, start, length):
    return struct.pack(LAYOUT, kind, os.SEEK_SET, start, length, 0)


def _kind(flock):
    return struct.unpack(LAYOUT, flock)[0]


LAYOUT = "hhqqi0q"  # struct flock of Linux: type, whence, start, length, process
