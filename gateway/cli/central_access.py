"""`huxi central gateway|reader`: who may deliver to the central server, and who may read there."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict

import click

from gateway.cli.errors import CommandError
from gateway.cli.options import json_option
from gateway.cli.output import NONE, echo_json, echo_table, utc
from sync.central import access
from sync.central.errors import CentralError
from sync.central.store import open_access

DB = click.option(
    "--db", required=True, metavar="FILE|URL", help="A SQLite file, made when missing, or postgresql://… for a fleet."
)


@click.group()
def gateway() -> None:
    """Which gateways may deliver.

    \b
    Example:
      huxi central gateway add qiyang-01 --db central.db > token
    """


@gateway.command("add")
@click.argument("name", metavar="ID")
@DB
@click.option(
    "--tenant", default="default", show_default=True, help="Whom it belongs to; readers are kept to a tenant."
)
@click.option("--site", default="default", show_default=True, help="Place of the gateway within the tenant.")
def add_gateway(name: str, db: str, tenant: str, site: str) -> None:
    """Let a gateway deliver: prints its token, once; the receiver keeps only a hash of it.

    \b
    Example:
      huxi central gateway add qiyang-01 --db central.db --tenant qiyang --site pavilion > token
    """
    _add(name, db, access.GATEWAY, tenant, site)


@gateway.command("list")
@DB
@json_option
def list_gateways(db: str, as_json: bool) -> None:
    """Show the gateways that may deliver, or might once.

    \b
    Example:
      huxi central gateway list --db central.db
    """
    _list(db, access.GATEWAY, as_json)


@gateway.command("revoke")
@click.argument("name", metavar="ID")
@DB
def revoke_gateway(name: str, db: str) -> None:
    """Refuse the token of a gateway from now on; what it delivered stays.

    \b
    Example:
      huxi central gateway revoke qiyang-01 --db central.db
    """
    _revoke(name, db, access.GATEWAY)


@click.group()
def reader() -> None:
    """Who may read: platforms, and people with a browser (the token is the password).

    \b
    Example:
      huxi central reader add brain --tenant qiyang --db central.db
    """


@reader.command("add")
@click.argument("name")
@DB
@click.option("--tenant", help="Whose gateways it may read; without it, all.")
def add_reader(name: str, db: str, tenant: str | None) -> None:
    """Let somebody read: prints the token, once.

    \b
    Example:
      huxi central reader add brain --tenant qiyang --db central.db
    """
    _add(name, db, access.READER, tenant, None)


@reader.command("list")
@DB
@json_option
def list_readers(db: str, as_json: bool) -> None:
    """Show who may read, or might once.

    \b
    Example:
      huxi central reader list --db central.db
    """
    _list(db, access.READER, as_json)


@reader.command("revoke")
@click.argument("name")
@DB
def revoke_reader(name: str, db: str) -> None:
    """Refuse the token of a reader from now on.

    \b
    Example:
      huxi central reader revoke brain --db central.db
    """
    _revoke(name, db, access.READER)


def _add(name: str, db: str, role: str, tenant: str | None, site: str | None) -> None:
    with said_plainly(), closing(open_access(db)) as database:
        token = access.add(database, name, role, tenant, site)
    click.echo(f"{role} {name} was added; this is its token, which is shown only now:", err=True)
    click.echo(token)


def _list(db: str, role: str, as_json: bool) -> None:
    with said_plainly(), closing(open_access(db)) as database:
        found = access.parties(database, role)
    if as_json:
        echo_json([asdict(party) for party in found])
    elif not found:
        click.echo(f"No {role} has a token yet: huxi central {role} add")
    else:
        place = [(party.tenant or "all", party.site or NONE) for party in found]
        times = [(utc(party.added_ms), utc(party.revoked_ms)) for party in found]
        rows = [(party.name, *where, *when) for party, where, when in zip(found, place, times, strict=True)]
        echo_table((role, "tenant", "site", "added", "revoked"), rows)


def _revoke(name: str, db: str, role: str) -> None:
    with said_plainly(), closing(open_access(db)) as database:
        access.revoke(database, name, role)
    click.echo(f"The token of {role} {name} is refused from now on.")


@contextmanager
def said_plainly() -> Iterator[None]:
    """Says what the receiver says, without a traceback."""
    try:
        yield
    except CentralError as error:
        raise CommandError(str(error)) from None
