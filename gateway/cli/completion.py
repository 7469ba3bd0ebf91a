"""`huxi completion`: the script that teaches a shell the commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets the TAB key complete huxi commands in SHELL.

    \b
    Examples:
      huxi completion bash > ~/.local/share/bash-completion/completions/huxi
      huxi completion zsh  > ~/.zfunc/_huxi
      huxi completion fish > ~/.config/fish/completions/huxi.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click.Choice names only shells that click knows
    click.echo(kind(ctx.find_root().command, {}, "huxi", "_HUXI_COMPLETE").source())
