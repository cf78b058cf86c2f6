"""The ledger of a results file: how many cells it has, the sum of their checksums, and which log belongs to it.

It is a line of the table ``meta``, written in the transaction that changes the cells, so that a file of which a part is
older, or that others have changed, disagrees with it. Each writer, and each folding of SQLite's log into the file,
gives the file a number of its own choice, an epoch (SQLite's user_version, which lies in the file and in its log); the
ledger has the epochs that the file below a log may have.
"""

import json
import random

from .integrity import checksum_column

KINDS = {"rows": int, "sum": int, "epochs": list, "log": bool}


class Ledger:
    """What the ledger of a file says, or should say.

    Attributes
    ----------
    rows, sum : int
        Number of cells with a checksum, and the sum of them.
    epochs : list of int
        That of the file as it lies on the disk is one of these, the latest the last.
    log : bool
        True if the file was written last to have a log folded into it: it goes on in a log.
    """

    def __init__(self):
        self.rows, self.sum, self.epochs, self.log = 0, 0, [], False

    def read(self, db):
        """Take over what the file says; False if it is from before there were ledgers.

        Raises
        ------
        ValueError, TypeError, AttributeError
            If it makes no sense.
        """
        row = db.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()
        if row is None:
            return False
        there = json.loads(row[0])
        if any(type(there.get(key)) is not kind for key, kind in KINDS.items()):
            raise ValueError("not a ledger")
        self.rows, self.sum, self.epochs, self.log = (there[key] for key in KINDS)
        return True

    def put(self, db, log=False):
        """Write it, within a transaction."""
        text = json.dumps({"rows": self.rows, "sum": self.sum, "epochs": self.epochs, "log": log})
        db.execute("INSERT OR REPLACE INTO meta VALUES ('ledger', ?)", [text])

    def flaw(self, db):
        """How the file differs from its own ledger, in words that have a place for what the next run does about it.

        None if it does not; both are read within one transaction, and this is left as it is in the file.
        """
        if not self.read(db) or checksum_column(db) == "NULL":
            return None
        count, total = db.execute("SELECT COUNT(checksum), SUM(checksum) FROM cells").fetchone()
        if (count, total or 0) == (self.rows, self.sum):
            return None
        if count < self.rows:
            return f"{self.rows - count} of its {self.rows} cells are gone"
        return "its cells are not those that were written: a part of it is old, or another program has changed it"

    # -- epochs -------------------------------------------------------------------------------------------------------
    def new_epoch(self, db):
        """Begin another one, within a transaction."""
        self.epochs = [*self.epochs[-20:], random.SystemRandom().randrange(1, 2**31)]
        db.execute(f"PRAGMA user_version = {self.epochs[-1]}")
        self.put(db, log=True)

    def fold(self, db):
        """Fold the log into the file; readers that look at an older state put it off."""
        busy, length, folded = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if not busy and length == folded:
            self.epochs = self.epochs[-1:]
