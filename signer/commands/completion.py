"""Print a script with which a shell completes the commands and options.

bash: `eval "$(oss-signer completion bash)"`, zsh: the same, fish: `oss-signer completion fish | source`.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab  # only here: it takes longer to import than most commands run

    print(shtab.complete(options.parser, options.shell))
    return 0
