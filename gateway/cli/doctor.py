"""`huxi doctor`: what is wrong with this machine and this site, and what to do."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.finding import Finding
from gateway.cli.machine_checks import check_machine
from gateway.cli.options import DEFAULT_CONFIG, config_option, json_option
from gateway.cli.output import cells, echo_json, mark


@click.command()
@config_option
@json_option
def doctor(config: Path, as_json: bool) -> None:
    """Look for what is wrong with this machine and this site, and say what to do.

    Without a configuration file it looks at the machine only. Exit code 1 when anything is bad.

    \b
    Examples:
      huxi doctor
      huxi doctor -c site.toml
    """
    found = []
    for finding in _look(config):
        found.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        echo_json({"findings": [asdict(finding) for finding in found]})
    if any(finding.state == "bad" for finding in found):
        raise click.exceptions.Exit(1)


def _look(config: Path) -> Iterator[Finding]:
    core_is_missing = False
    for finding in check_machine():
        core_is_missing |= finding.check == "core" and finding.state == "bad"
        yield finding
    if core_is_missing:
        return  # the site cannot be looked at without the core
    if config.exists() or config != DEFAULT_CONFIG:
        from gateway.cli.site_checks import check_site

        yield from check_site(config)
    else:
        yield Finding(
            check="configuration",
            state="warn",
            text=f"there is no {config}: nothing of the site was looked at",
            remedy="name yours with -c FILE",
        )


def _print(finding: Finding) -> None:
    state = mark(finding.state) + " " * (4 - cells(finding.state))
    click.echo(f"{state}  {finding.check}: {finding.text}")
    if finding.remedy:
        click.echo(f"      -> {finding.remedy}")
