"""Check this machine step by step, and print what to fix."""

import argparse
import logging
import sys

from signer.commands.definition_options import add_definition_options, environment
from signer.server import event_loop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--app", metavar="ID", help="check only what this app needs")
    parser.add_argument(
        "--write",
        action="store_true",
        help="also upload a small object below each prefix, at the address that phones use, and delete it again",
    )
    parser.add_argument(
        "--timeout", type=float, default=5.0, metavar="SECONDS", help="how long to wait for each response (default: 5)"
    )
    parser.add_argument(
        "--oss-endpoint",
        default="https://oss-{region}.aliyuncs.com",
        metavar="URL",
        help="the OSS endpoint (default: %(default)s); without {region}, the bucket is part of the path",
    )


def run(options: argparse.Namespace) -> int:
    """Run every step; return 1 when one of them failed."""
    # The steps import every SDK, which takes longer than everything else that a command does at its start.
    from signer.doctor.checkup import diagnose
    from signer.doctor.report import any_failed, as_json, as_text

    # The findings contain everything that the service would log.
    logging.getLogger("oss_signer").setLevel(logging.CRITICAL + 1)
    findings = event_loop.run(
        diagnose(
            options.config,
            environment(options),
            app_id=options.app,
            timeout_seconds=options.timeout,
            oss_endpoint=options.oss_endpoint,
            write=options.write,
        )
    )
    sys.stdout.write(as_json(findings) if options.json else as_text(findings))
    return 1 if any_failed(findings) else 0
