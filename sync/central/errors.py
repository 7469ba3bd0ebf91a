"""What can go wrong in the receiver itself, as opposed to a batch it does not take."""


class CentralError(Exception):
    """The receiver cannot start or cannot store; the text names the thing and the remedy."""
