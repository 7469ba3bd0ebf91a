"""The command group: help, errors, lazy loading, completion."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from gateway.cli.main import COMMANDS, Entry, main

HEAVY = ("httpx", "pymodbus", "pydantic", "sqlite3", "gateway.config", "drivers")


def run(*args: str):
    return CliRunner().invoke(main, args)


def test_help_lists_every_command_with_its_line():
    result = run("--help")
    assert result.exit_code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name} " in result.output
        assert entry.summary in result.output


def test_help_loads_none_of_the_commands():
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from gateway.cli.main import main\n"
        "before = set(sys.modules)\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print(*sorted(sys.modules))"
    )
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "click" in names
    assert [name for name in names if name.startswith("gateway.cli.")] == [
        "gateway.cli.errors",
        "gateway.cli.main",
    ]
    assert not set(HEAVY) & set(names)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert f"huxi {name}" in result.output.split("\n", 2)[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_has_help_with_an_example(name):
    command = main.get_command(click.Context(main), name)
    for sub in getattr(command, "commands", {}):
        result = run(name, sub, "--help")
        assert result.exit_code == 0, result.output
        assert f"huxi {name} {sub}" in result.output.split("\n", 2)[2]


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["--nonsense"],
        ["status", "--nonsense"],
        ["read"],
        ["read", "tcp://127.0.0.1:1"],
        ["completion", "tcsh"],
        ["ledger", "export", "--format", "xls"],
        ["ledger", "totals", "--from", "yesterday"],
        ["central", "serve"],
        ["central", "--listen", "x"],
    ],
)
def test_usage_errors_are_one_line_with_the_way_to_the_help(args):
    result = run(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("huxi: ")
    assert result.stderr.count("\n") == 1
    assert "--help'" in result.stderr


@pytest.mark.parametrize("place", ["gateway.cli.not_there:run", "not_there:run"])
def test_an_incomplete_installation_is_told_to_be_completed(monkeypatch, place):
    monkeypatch.setitem(COMMANDS, "run", Entry(place, "…"))
    result = run("run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("huxi: this installation is not complete, run make setup: No module named")


@pytest.mark.parametrize("args", [[], ["ledger"], ["sync"], ["profile"], ["central"]])
def test_a_group_without_a_subcommand_shows_its_help(args):
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")


@pytest.mark.parametrize(("shell", "sign"), [("bash", "complete "), ("zsh", "#compdef huxi"), ("fish", "complete ")])
def test_completion_scripts_name_the_command(shell, sign):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert sign in result.output
    assert "_HUXI_COMPLETE" in result.output


def test_names_are_completed_without_loading_commands(monkeypatch):
    context = click.Context(main)
    monkeypatch.setattr(main, "get_command", None)
    assert [item.value for item in main.shell_complete(context, "s")] == ["status", "sync", "simulate"]
    assert [item.value for item in main.shell_complete(context, "--h")] == ["--help"]
