"""What can go wrong with the store."""


class StoreError(Exception):
    """Root of the room; the text names the file or folder, what is wrong and the remedy."""


class DiskFull(StoreError):
    """There is no room to write."""


class Damaged(StoreError):
    """The database holds what SQLite cannot have written."""


class LockTaken(StoreError):
    """Another process works on this data folder."""


class NotInLedger(StoreError):
    """What was asked about is not there, or no longer: `error` says so, `remedy` where to look."""

    def __init__(self, error: str, remedy: str) -> None:
        super().__init__(f"{error}: {remedy}")
        self.error = error
        self.remedy = remedy
