"""How the command reports that it cannot do what was asked."""

from typing import IO, Any

import click


class CommandError(click.ClickException):
    """Ends the command with one message on stderr and no traceback.

    The message names the thing, the place and the remedy. `exit_code` is 1 when the thing asked about is bad,
    2 when the question was (usage, configuration, nobody answering).
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # declared for the class, read from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to `file`, or to stderr when there is none."""
        click.echo(f"huxi: {self.format_message()}", file=file, err=file is None)
