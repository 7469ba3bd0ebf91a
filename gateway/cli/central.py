"""`huxi central`: the server that receives from gateways."""

from pathlib import Path

import click

from gateway.cli.errors import CommandError
from gateway.cli.options import FILE
from sync.central.errors import CentralError
from sync.central.serve import serve as serve_central


class ServeByDefault(click.Group):
    """A group whose options without a subcommand mean `serve`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `serve` before options that are not the group's own."""
        if args and args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ServeByDefault)
def central() -> None:
    """The central server that gateways deliver to (options alone mean `serve`).

    \b
    Example:
      huxi central --db central.db --listen 0.0.0.0:8443 --token-file tokens
    """


@central.command()
@click.option("--db", type=FILE, required=True, help="The SQLite file to keep everything in; made when missing.")
@click.option("--listen", default="127.0.0.1:8490", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option(
    "--token-file",
    type=FILE,
    required=True,
    help="Who may deliver: one line `gateway-id:token` for each gateway.",
)
@click.option("--time-key", type=FILE, help="Private Ed25519 key (PEM) to sign the time with.")
def serve(db: Path, listen: str, token_file: Path, time_key: Path | None) -> None:
    """Receive from gateways until it is stopped (Ctrl-C).

    \b
    Example:
      huxi central serve --db central.db --listen 127.0.0.1:8490 --token-file tokens
    """
    try:
        serve_central(db, listen, token_file, time_key)
    except CentralError as error:
        raise CommandError(str(error)) from None
