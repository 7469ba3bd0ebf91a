"""`huxi central`: the server that receives from gateways."""

from pathlib import Path

import click

from gateway.cli.central_access import DB, gateway, reader, said_plainly
from gateway.cli.errors import CommandError
from gateway.cli.options import FILE
from sync.central.serve import Certificate
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
      huxi central gateway add qiyang-01 --db central.db > token
      huxi central serve --db central.db --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
    """


@central.command()
@DB
@click.option("--listen", default="127.0.0.1:8490", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--tls-cert", type=FILE, help="PEM file with the certificate chain: the receiver then speaks HTTPS.")
@click.option("--tls-key", type=FILE, help="PEM file with the key of the certificate.")
@click.option("--time-key", type=FILE, help="Private Ed25519 key (PEM) to sign the time with.")
def serve(db: str, listen: str, tls_cert: Path | None, tls_key: Path | None, time_key: Path | None) -> None:
    """Receive from gateways until it is stopped (Ctrl-C).

    \b
    Examples:
      huxi central serve --db central.db
      huxi central serve --db postgresql://huxi@db.example/huxi --listen 127.0.0.1:8490
    """
    if (tls_cert is None) != (tls_key is None):
        raise CommandError("--tls-cert and --tls-key go together: give both or neither", 2)
    with said_plainly():
        serve_central(db, listen, Certificate(tls_cert, tls_key) if tls_cert and tls_key else None, time_key)


central.add_command(gateway)
central.add_command(reader)
