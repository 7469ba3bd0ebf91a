"""Options that several commands share, and what they lead to: a configuration, a data folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway.cli.errors import CommandError

if TYPE_CHECKING:
    from gateway.config import Config

DEFAULT_CONFIG: Final = Path("/etc/huxi/huxi.toml")

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


def json_option(function: _Command) -> _Command:
    """`--json`, handed to the command as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, with every digit.")(function)


def read_config(path: Path) -> "Config":
    """The configuration at `path`; every fault of it in one CommandError (exit code 2)."""
    from gateway.config import ConfigError, load_config

    try:
        return load_config(path)
    except ConfigError as error:
        raise CommandError("\n".join(str(fault) for fault in error.faults)) from None


def find_data_dir(data: Path | None, config: Path) -> Path:
    """The data folder: `data` when given, else the one that the configuration file names."""
    if data is not None:
        return data
    if not config.exists():
        raise CommandError(
            f"there is no configuration file {config}: name yours with -c FILE, or the data folder with --data DIR"
        )
    return read_config(config).gateway.data_dir
