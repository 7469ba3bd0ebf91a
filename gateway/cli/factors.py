"""`huxi factors`: the emission factors that the ledger computes with."""

import time
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import click

from drivers.toml_file import read_toml
from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor import Factor
from gateway.carbon.factors.factor_import import CheckedFile, check, store
from gateway.carbon.factors.factor_set import CONFIDENCE, FactorSet, load_all, shipped
from gateway.cli.errors import CommandError
from gateway.cli.options import DEFAULT_CONFIG, daemon_options, json_option
from gateway.cli.output import NONE, count, echo_fields, echo_json, echo_table, g_per_kWh, mark, utc
from gateway.config_file import ConfigFile

EXISTING: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Whose factors are asked for."""

    data_dir: Path | None
    """None: the shipped ones only."""
    accept: bool | list[str] | None
    """What its configuration accepts below confidence A; None without a configuration."""


@click.group()
def factors() -> None:
    """Emission factors: what is published, where each value comes from, and adding the next year's.

    \b
    Examples:
      huxi factors list --region CN-SC
      huxi factors show cn-grid/CN-SC/2023/location@1
      huxi factors import annex-2024.toml --document annex-2024.pdf
    """


@factors.command("list")
@click.option("--region", metavar="ID", help="Only this region, for example CN-SC.")
@daemon_options
@json_option
def list_(region: str | None, data: Path | None, config: Path, as_json: bool) -> None:
    """List the factors that come with huxi and those of the data folder.

    \b
    Example:
      huxi factors list --region CN-SC
    """
    site = _site(data, config)
    found = _load(site)
    records = found.records if region is None else _matching(found, region)
    if as_json:
        echo_json({"factors": [_as_json(record, site) for record in records]})
        return
    rows = [
        [
            record.ref,
            g_per_kWh(record.value_mg_per_kWh),
            record.gas_basis,
            record.confidence,
            _acceptance(record, site),
            str(record.published),
            record.document,
        ]
        for record in records
    ]
    headings = ["factor", "g/kWh", "gas", "confidence", "accepted", "published", "document"]
    echo_table(headings, rows, right=frozenset({"g/kWh"}))


@factors.command()
@click.argument("name")
@daemon_options
@json_option
def show(name: str, data: Path | None, config: Path, as_json: bool) -> None:
    """Show everything about a factor; NAME is its reference, its id (all versions) or a region (all years).

    \b
    Examples:
      huxi factors show cn-grid/CN-SC/2023/location@1
      huxi factors show CN-SC
    """
    site = _site(data, config)
    found = _load(site)
    records = _matching(found, name)
    if as_json:
        echo_json({"factors": [_as_json(record, site) for record in records]})
        return
    for at, record in enumerate(records):
        if at:
            click.echo()
        versions = [other for other in found.records if other.id == record.id]
        echo_fields(_fields(record, versions, site))


@factors.command("import")
@click.argument("file", type=EXISTING)
@click.option(
    "--document",
    "documents",
    type=EXISTING,
    multiple=True,
    help="The published document itself: its SHA-256 is compared with document_sha256. Once for each document.",
)
@daemon_options
def import_(file: Path, documents: tuple[Path, ...], data: Path | None, config: Path) -> None:
    """Check a factor file of your own completely and take it into the data folder.

    Nothing that is there is changed: a corrected value comes as a higher version. Exit code 1 when the file
    has faults; each is printed with its line.

    \b
    Example:
      huxi factors import annex-2024.toml --document annex-2024.pdf
    """
    site = _site(data, config)
    if site.data_dir is None:
        raise CommandError(f"there is no configuration file {config}: name yours with -c FILE, or --data DIR")
    if not site.data_dir.is_dir():
        raise CommandError(
            f"there is no data folder {site.data_dir}: make it first, sudo install -d -m 750 -o huxi {site.data_dir}"
        )
    _load(site)  # faults of what is there already are not those of the file
    try:
        checked = check(file, site.data_dir, documents)
        path = store(checked, site.data_dir) if checked.new else None
    except FactorError as error:
        raise CommandError(str(error), exit_code=1) from None
    except OSError as error:
        place = error.filename or site.data_dir
        raise CommandError(f"cannot read or write {place}: {error.strerror}; check its rights and space") from None
    _report(file, checked, path, site)


def _site(data: Path | None, config: Path) -> Site:
    """Of a configuration only two keys are needed: it may still have faults that the import is to mend."""
    if data is not None:
        return Site(data_dir=data, accept=None)
    if config == DEFAULT_CONFIG and not config.exists():
        return Site(data_dir=None, accept=None)
    parsed, faults = read_toml(config, ConfigFile)
    if parsed is None:
        raise CommandError("\n".join(str(fault) for fault in faults))
    return Site(data_dir=config.parent / parsed.gateway.data_dir, accept=parsed.carbon.accept_unverified)


def _load(site: Site) -> FactorSet:
    try:
        return FactorSet.load(shipped()) if site.data_dir is None else load_all(site.data_dir)
    except FactorError as error:
        raise CommandError(str(error)) from None


def _matching(found: FactorSet, name: str) -> list[Factor]:
    """The records of a reference, an id or a region. CommandError when there are none."""
    records = [record for record in found.records if name in (record.ref, record.id, record.region)]
    if not records:
        names = {each for record in found.records for each in (record.ref, record.id, record.region)}
        near = get_close_matches(name, names, n=1)
        raise CommandError(
            f"there is no factor {name}; " + (f"did you mean {near[0]}?" if near else "see huxi factors list")
        )
    return records


def _is_accepted(record: Factor, site: Site) -> bool | None:
    """None: only a configuration could tell."""
    if site.accept is None:
        return True if record.confidence == "A" else None
    return FactorSet([record], site.accept).accepts(record)


def _acceptance(record: Factor, site: Site) -> str:
    return {True: "yes", False: mark("no"), None: NONE}[_is_accepted(record, site)]


def _as_json(record: Factor, site: Site) -> dict[str, Any]:
    fields = asdict(replace(record, retrieved=None))
    del fields["provisional"]
    return {
        "ref": record.ref,
        **fields,
        "retrieved": record.retrieved and record.retrieved.isoformat(),
        "published": record.published.isoformat(),
        "accepted": _is_accepted(record, site),
    }


def _fields(record: Factor, versions: list[Factor], site: Site) -> list[tuple[str, str]]:
    remedy = f'; accept_unverified = ["{record.ref}"] in [carbon] accepts it'
    accepted = {True: "yes", False: f"no{remedy}", None: f"name the configuration with -c FILE{remedy}"}
    return [
        ("factor", record.ref),
        ("value", f"{record.value_text} {record.gas_basis}"),
        ("lens", record.lens),
        ("data year", f"{record.data_year}: {utc(record.valid_from_ms)} to {utc(record.valid_to_ms)}"),
        ("published", str(record.published)),
        ("publisher", record.publisher),
        ("document", record.document),
        ("sha256", record.document_sha256 or NONE),
        ("retrieved", NONE if record.retrieved is None else str(record.retrieved)),
        ("uncertainty", NONE if record.u_rel_ppm is None else f"{record.u_rel_ppm} ppm"),
        ("confidence", f"{record.confidence}: {CONFIDENCE[record.confidence]}"),
        ("accepted", accepted[_is_accepted(record, site)]),
        ("versions", ", ".join(f"{other.version} of {other.published}" for other in versions)),
        ("note", record.note or NONE),
    ]


def _report(file: Path, checked: CheckedFile, path: Path | None, site: Site) -> None:
    known = len(checked.records) - len(checked.new)
    if path is None:
        click.echo(f"{file} is good and says nothing new: it is there already ({count(known, 'factor')}).")
        return
    others = f", {known} are there already" if known else ""
    click.echo(f"{file} is good: {count(len(checked.new), 'new factor')} of set {checked.set_id}{others}.")
    click.echo(f"It stands in {path}.\n")
    now_ms = time.time_ns() // 1_000_000
    vintages = {(each.data_year, each.version, each.published, each.published_ms) for each in checked.new}
    for year, version, published, published_ms in sorted(vintages):
        since = "the next start of the gateway" if published_ms <= now_ms else f"{published}, which is still to come"
        click.echo(f"Data year {year}, version {version}, published {published}: counts from {since}.")
    refused = [record for record in checked.new if _is_accepted(record, site) is not True]
    click.echo("\nNext:")
    if refused:
        click.echo(
            f"- {len(refused)} of them have confidence B or M. A gateway in such a region does not start before\n"
            f'  [carbon] has accept_unverified = ["{refused[0].ref}"], or the one of its region.'
        )
    click.echo(
        "- Restart the gateway: it reads factors when it starts.\n"
        f"- Once they count, run huxi ledger restate --factor-set {checked.set_id}: what is booked is stated anew."
    )
