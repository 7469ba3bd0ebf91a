"""Options that several commands share, and what they lead to: a configuration, a data folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway.cli.errors import CommandError

if TYPE_CHECKING:
    from drivers.profile import Profile
    from gateway.config import Config

DEFAULT_CONFIG: Final = Path("/etc/huxi/huxi.toml")

LENSES: Final = ("location", "market")

_Command = TypeVar("_Command", bound=Callable[..., Any])

FILE: Final = click.Path(dir_okay=False, path_type=Path)
FOLDER: Final = click.Path(file_okay=False, path_type=Path)


def config_option(function: _Command) -> _Command:
    """`-c FILE`, handed to the command as `config: Path`."""
    return click.option(
        "-c",
        "--config",
        type=FILE,
        default=DEFAULT_CONFIG,
        show_default=True,
        help="The configuration file.",
    )(function)


def daemon_options(function: _Command) -> _Command:
    """`--data DIR` and `-c FILE`: the two ways to say which daemon is meant."""
    data = click.option(
        "--data", type=FOLDER, help="The data folder of the gateway; without it, the configuration names it."
    )
    return data(config_option(function))


def offline_option(function: _Command) -> _Command:
    """`--offline DIR`: read the data folder of a gateway that does not run."""
    return click.option(
        "--offline", type=FOLDER, metavar="DIR", help="Read the data folder of a stopped gateway instead."
    )(function)


def lens_option(function: _Command) -> _Command:
    """`--lens L`, handed to the command as `lens: str | None`."""
    return click.option(
        "--lens", type=click.Choice(LENSES), help="By which convention; the site's main lens when left out."
    )(function)


def json_option(function: _Command) -> _Command:
    """`--json`, handed to the command as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, with every digit.")(function)


def profile_option(function: _Command) -> _Command:
    """`--profile P`, handed to the command as `profile_name: str`; for `load_profile`."""
    return click.option(
        "--profile",
        "profile_name",
        required=True,
        metavar="P",
        help="The product: a name from huxi profile list, or a profile file of your own (…/my.toml).",
    )(function)


def load_profile(name: str) -> "Profile":
    """The shipped profile of this name, or the file when it ends in .toml; its faults in one CommandError."""
    from drivers.catalogue import Catalogue, shipped
    from drivers.errors import ProfileError
    from drivers.profile import Profile
    from drivers.toml_file import read_toml

    if name.endswith(".toml"):
        profile, faults = read_toml(Path(name), Profile)
        if profile is None:
            raise CommandError("\n".join(str(fault) for fault in faults))
        return profile.named(name)
    try:
        return Catalogue([shipped()]).load(name)
    except ProfileError as error:
        raise CommandError(str(error)) from None


def read_config(path: Path) -> "Config":
    """The configuration at `path`; every fault of it in one CommandError (exit code 2)."""
    from gateway.config import ConfigError, load_config

    try:
        return load_config(path)
    except ConfigError as error:
        raise CommandError(str(error)) from None


def find_data_dir(data: Path | None, config: Path) -> Path:
    """The data folder: `data` when given, else the one that the configuration file names."""
    if data is not None:
        return data
    if not config.exists():
        raise CommandError(
            f"there is no configuration file {config}: name yours with -c FILE, or the data folder with --data DIR"
        )
    return read_config(config).gateway.data_dir
