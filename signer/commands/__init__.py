"""The subcommands of `oss-signer`: one module each, with `add_arguments(parser)` and `run(options) -> int`."""
