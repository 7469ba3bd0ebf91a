"""The command group `huxi`. Each command's module is loaded when that command is called, and not before."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, NamedTuple

import click
from click.shell_completion import CompletionItem

from gateway.cli.errors import CommandError


class Entry(NamedTuple):
    """Where a command lives, and its line in `huxi --help` (which must not load it)."""

    place: str
    """`module:attribute` of the click command."""
    summary: str


COMMANDS: Final[dict[str, Entry]] = {
    "demo": Entry("gateway.cli.demo:demo", "See everything work on this machine, without any device."),
    "check": Entry("gateway.cli.check:check", "Check a configuration file and show what it means."),
    "run": Entry("gateway.cli.run:run", "Run the gateway until it is stopped."),
    "status": Entry("gateway.cli.status:status", "Is it well? One screen about the running gateway."),
    "devices": Entry("gateway.cli.devices:devices", "Show the devices and what they read now."),
    "ledger": Entry("gateway.cli.ledger:ledger", "Energy and carbon: totals, entries, proof, export."),
    "factors": Entry("gateway.cli.factors:factors", "Emission factors: list them, show one, add the next year's."),
    "sync": Entry("gateway.cli.sync:sync", "Delivery to the central server."),
    "clock": Entry("gateway.cli.clock:clock", "The time: who vouches for it, and vouching for it oneself."),
    "read": Entry("gateway.cli.read:read", "Read one device once, without a gateway."),
    "profile": Entry("gateway.cli.profile:profile", "Device profiles: list them, show one, check your own."),
    "simulate": Entry("gateway.cli.simulate:simulate", "Serve a simulated device over Modbus."),
    "doctor": Entry("gateway.cli.doctor:doctor", "Look for what is wrong with this machine and say what to do."),
    "central": Entry("gateway.cli.central:central", "Run the central server that receives from gateways."),
    "completion": Entry("gateway.cli.completion:completion", "Print the completion script of your shell."),
}


class LazyGroup(click.Group):
    """A group over COMMANDS: help and completion of names read the table, a call imports one module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command; None for an unknown name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.place.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that go on from `incomplete`, from the table, so that the TAB key answers at once."""
        names = [
            CompletionItem(name, help=entry.summary) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does, with errors said in our way."""
        with _plain_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, with the errors of every subcommand said in our way."""
        with _plain_errors():
            return super().invoke(ctx)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # its message is the help page itself
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "huxi"
        raise CommandError(f"{error.format_message()} See '{command} --help'.", error.exit_code) from None
    except ImportError as error:
        raise CommandError(f"this installation is not complete, run make setup: {error}") from None


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="huxi", prog_name="huxi")
def main() -> None:
    """Edge gateway of a near-zero-carbon community.

    Reads meters, inverters and chargers over Modbus, keeps an exact ledger of energy and carbon, and delivers
    it to a central server. New here? Start with:

    \b
      huxi demo                                    everything at once, simulated
      huxi read tcp://192.168.1.20:502 --profile inverter/huawei-sun2000
      huxi check -c /etc/huxi/huxi.toml            before the first run

    Exit codes: 0 good; 1 the thing asked about is bad; 2 the question was (usage, configuration, no answer).
    """
