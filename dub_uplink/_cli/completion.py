"""Print the completion script for a shell: ``dub-uplink completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "dub-uplink"
#: The completion script sets this environment variable, so that click prints completions.
COMPLETE_VARIABLE = "_DUB_UPLINK_COMPLETE"

EXAMPLES = """\b
Set it up once:
  bash  echo 'eval "$(dub-uplink completion bash)"' >> ~/.bashrc
  zsh   echo 'eval "$(dub-uplink completion zsh)"' >> ~/.zshrc
  fish  dub-uplink completion fish >
          ~/.config/fish/completions/dub-uplink.fish
"""


@click.command(
    short_help="Print the completion script for a shell.",
    help="Print a script for your shell. With it, the Tab key completes the commands and options of"
    " dub-uplink. bash must be 4.4 or newer.",
    epilog=EXAMPLES,
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script."""
    script_class = get_completion_class(shell)
    assert script_class is not None
    click.echo(script_class(ctx.find_root().command, {}, PROGRAM, COMPLETE_VARIABLE).source())
