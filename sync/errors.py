"""What can go wrong between an outbox and a receiver. Retry by type, never by text."""


class SyncError(Exception):
    """Root of the room; the text is one sentence for an operator."""


class OutboxFailed(SyncError):
    """The place where records wait cannot be read or written right now."""


class Unreachable(SyncError):
    """The receiver is not there: no connection, or no answer in time."""

    def __init__(self, text: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
        """The wait the other side asked for, when it did."""


class Shut(Unreachable):
    """Nobody takes connections at the receiver's address."""


class BadAnswer(Unreachable):
    """Something answered, but with no word on the batch: overload, 5xx, redirect, nonsense."""


class Refused(SyncError):
    """The receiver knows us and says no (401, 403): the token is wrong, the data is not."""


class Rejected(SyncError):
    """The receiver will never take this batch as it is (400, 413, 422); the text is its reason."""


class Gap(SyncError):
    """The receiver holds less than the batch builds on; it wants the stream from `expected` on."""

    def __init__(self, expected: int) -> None:
        super().__init__(f"the receiver holds the stream only up to {expected - 1} and wants it from {expected} on")
        self.expected = expected


class Forked(SyncError):
    """The receiver holds other content under the same sequence numbers: a cloned or restored card."""


class Malformed(SyncError):
    """Bytes that are not a batch or a block of this contract."""


class TooLarge(Malformed):
    """A batch beyond the limits of the contract (answered 413)."""


class Untrusted(SyncError):
    """The other side shows a certificate that nobody we trust has signed, or one for another name."""
