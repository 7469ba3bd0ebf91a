"""`huxi run`: the daemon itself."""

from pathlib import Path

import click
import uvloop

from gateway import app
from gateway.carbon.errors import CarbonError
from gateway.cli.errors import CommandError
from gateway.cli.options import config_option, read_config
from gateway.config import ConfigError
from gateway.store.errors import StoreError
from gateway.web.errors import BindError


@click.command()
@config_option
def run(config: Path) -> None:
    """Run the gateway of the configuration file until it is stopped (Ctrl-C, or systemctl stop).

    \b
    Example:
      huxi run -c /etc/huxi/huxi.toml
    """
    settings = read_config(config)
    try:
        uvloop.run(app.run(settings, config))
    except (ConfigError, StoreError, CarbonError) as error:
        raise CommandError(str(error)) from None
    except BindError as error:
        raise CommandError(f"{error.error}: {error.remedy}") from None
