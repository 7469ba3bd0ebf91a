"""`huxi profile`: the register maps of products."""

from dataclasses import asdict
from pathlib import Path

import click

from drivers.catalogue import Catalogue, shipped
from drivers.errors import ProfileError
from drivers.profile import Profile
from drivers.toml_file import read_toml
from gateway.cli.errors import CommandError
from gateway.cli.options import FILE, json_option
from gateway.cli.output import NONE, echo_json, echo_table


@click.group()
def profile() -> None:
    """Device profiles: the register maps of products, one TOML file each.

    \b
    Examples:
      huxi profile list
      huxi profile show inverter/huawei-sun2000
      huxi profile check profiles/meter/my-meter.toml
    """


@profile.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the profiles that come with huxi.

    \b
    Example:
      huxi profile list
    """
    catalogue = Catalogue([shipped()])
    found = [catalogue.load(name) for name in catalogue.names()]
    if as_json:
        echo_json({"profiles": [_summary(each) for each in found]})
        return
    rows = [[each.name, each.about.title, str(len(each.points)), ledger_words(each)] for each in found]
    echo_table(["profile", "product", "points", "ledger registers"], rows, right=frozenset({"points"}))


@profile.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Print the profile NAME: its registers, and where they are known from.

    \b
    Example:
      huxi profile show meter/eastron-sdm630 > profiles/meter/my-meter.toml
    """
    catalogue = Catalogue([shipped()])
    try:
        found, text = catalogue.load(name), catalogue.text(name)
    except ProfileError as error:
        raise CommandError(str(error)) from None
    if as_json:
        echo_json({"name": name, **found.model_dump(mode="json", by_alias=True)})
    else:
        click.echo(text, nl=False)


@profile.command()
@click.argument("file", type=FILE)
@json_option
def check(file: Path, as_json: bool) -> None:
    """Check the profile in FILE; print every fault with its line.

    Exit code 1 when there are any.

    \b
    Example:
      huxi profile check profiles/meter/my-meter.toml
    """
    found, faults = read_toml(file, Profile)
    if as_json:
        echo_json({"ok": not faults, "faults": [asdict(fault) for fault in faults]})
    else:
        for fault in faults:
            click.echo(str(fault), err=True)
    if found is None:
        raise click.exceptions.Exit(1)
    if not as_json:
        click.echo(f"{file} is good: {len(found.points)} points, ledger registers: {ledger_words(found)}")


def _summary(found: Profile) -> dict[str, object]:
    return {
        "name": found.name,
        "title": found.about.title,
        "kind": found.about.kind,
        "points": len(found.points),
        "ledger_registers": [name for name, _ in ledger_registers(found)],
    }


def ledger_registers(profile: Profile) -> list[tuple[str, str]]:
    """Name and flow of the points that a device of this profile brings to the ledger."""
    return [
        (point.name, meant.flow) for point in profile.points if (meant := point.counter or point.integrate) is not None
    ]


def ledger_words(profile: Profile) -> str:
    """The same, for people."""
    return ", ".join(f"{name} ({flow})" for name, flow in ledger_registers(profile)) or NONE
