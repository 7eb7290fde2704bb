"""Sign one upload, and print the form and its decoded policy."""

import argparse
import json
import sys

from signer.api.uploads import form_json
from signer.callers.caller import Caller
from signer.commands.definition_options import add_definition_options, environment, load_registry
from signer.errors import Problem
from signer.server import event_loop
from signer.service import Service
from signer.signing.form import SignedUpload
from signer.signing.upload_rules import UploadRequest
from signer.telemetry import logs
from signer.telemetry.process_log import process_log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("app", metavar="APP", help="the id of the app")
    add_definition_options(parser)
    parser.add_argument("--filename", help="the file's name, as a client sends it")
    parser.add_argument("--content-type", help="the file's type, such as image/jpeg")
    parser.add_argument("--size", type=int, help="the file's size in bytes")
    parser.add_argument("--caller", help="the caller id that replaces {caller}")


def run(options: argparse.Namespace) -> int:
    """Sign with the credential of the app's role; return 1 if the request is rejected."""
    try:
        with process_log(level=logs.WARNING):
            upload = event_loop.run(_sign(options))
    except Problem as problem:
        print(f"{problem.code}: {problem.detail}", file=sys.stderr)
        return 1
    output = {"response": json.loads(form_json(upload)), "policy": upload.policy_document()}
    print(json.dumps(output, indent=2, ensure_ascii=False))
    return 0


async def _sign(options: argparse.Namespace) -> SignedUpload:
    request = UploadRequest(options.filename, options.content_type, options.size)
    async with Service(await load_registry(options), environment(options)) as service:
        app = service.current.registry.app(options.app)
        return await service.sign_form(service.current, app, Caller(options.caller), request)
