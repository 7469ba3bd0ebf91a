"""`huxi sync conform`: does a receiver keep the contract?"""

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.errors import CommandError
from gateway.cli.options import FILE, json_option
from gateway.cli.output import echo_json, echo_table, mark
from sync.conformance.report import Finding, examine
from sync.errors import SyncError
from sync.messages import NAME
from sync.transports.client import Way


@click.command()
@click.argument("url")
@click.option("--token-file", type=FILE, required=True, help="File with the gateway's token, one line.")
@click.option(
    "--gateway",
    default="conform-01",
    show_default=True,
    metavar="ID",
    help="A gateway to throw away: the checks write records into the receiver under its name.",
)
@click.option("--ca-file", type=FILE, help="The authority that signed the receiver's certificate.")
@json_option
def conform(url: str, token_file: Path, gateway: str, ca_file: Path | None, as_json: bool) -> None:
    """Check a receiver against docs/sync-contract.md, clause by clause.

    Exit code 1 when it breaks a clause, 2 when it cannot be asked.

    \b
    Example:
      huxi sync conform https://central.example --token-file token --gateway conform-01
    """
    if not NAME.fullmatch(gateway):
        raise CommandError(f"{gateway!r} is no gateway id: it must match {NAME.pattern}")
    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{token_file} cannot be read: {error}") from None
    if not token.isascii() or not token.isprintable() or not token:
        raise CommandError(f"{token_file} holds no token: write it on one line, without spaces around it")
    try:
        findings = asyncio.run(_findings(Way(url=url, ca_file=ca_file), token, gateway))
    except SyncError as error:
        raise CommandError(str(error)) from None
    broken = [finding.clause for finding in findings if finding.wrong is not None]
    if as_json:
        echo_json({"conforms": not broken, "clauses": [asdict(finding) for finding in findings]})
    else:
        echo_table(["", "clause", "demand"], [[_mark(finding), finding.clause, finding.demand] for finding in findings])
        for finding in findings:
            if finding.wrong is not None:
                click.echo(f"\n{finding.clause}: {finding.wrong}")
        click.echo(f"\n{len(findings) - len(broken)} of {len(findings)} clauses are kept.")
        click.echo("Not seen from outside: that an acknowledged batch survives a power cut (rules 6 and 7).")
    if broken:
        raise click.exceptions.Exit(1)


async def _findings(way: Way, token: str, gateway: str) -> list[Finding]:
    return [finding async for finding in examine(way, token, gateway)]


def _mark(finding: Finding) -> str:
    return mark("ok" if finding.wrong is None else "bad")
