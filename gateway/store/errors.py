"""What can go wrong with the store."""


class StoreError(Exception):
    """Root of the room; the text names the file or folder, what is wrong and the remedy."""


class LockTaken(StoreError):
    """Another process works on this data folder."""
