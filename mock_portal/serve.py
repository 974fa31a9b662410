"""The command `mock-portal serve`, which listens as a portal."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
import json
import os
from pathlib import Path
import re

from . import scenario, serialization, webhooks
from .certificates import Tls
from .encoding import from_json, twice
from .environment import Option, complete
from .errors import SetupError
from .faults import Fault, FaultKind
from .files import write_whole
from .listening import explained
from .server import MockPortal
from .signals import stop_event
from .terminal import say

DESCRIPTION = """\
Listens as a portal, and prints its base URL, the credentials and the SIMs. Your client uses the
base URL; tests use the control interface beside it, where GET /_mock/ explains everything.

It keeps everything in memory, sends nothing but the webhooks of bulk edits (to this machine), and
has no protection: do not expose it to a network you do not trust.
"""
EPILOG = """\
environment: each option can be set by a variable, such as MOCK_PORTAL_PORT=9000, MOCK_PORTAL_TLS=1
or MOCK_PORTAL_DIALECT="sms_id=bare usage_body=object"; an option beats its variable.

examples:
  mock-portal serve --scenario demo
  mock-portal serve --scenario demo --dialect sms_id=bare --dialect usage_body=object
  mock-portal serve --fault delay,seconds=2,route=ctdUsage --fault rate_limited,times=3
  mock-portal serve --fault 'status,status=502,body={"error": "bad gateway"}'
  mock-portal serve --tls --ca-file ca.pem     then: curl --cacert ca.pem https://localhost:8089/...
  mock-portal serve --port 0 --port-file port --json --log
  mock-portal serve --scenario bug.yaml        replay what `mock-portal record` wrote
"""

OPTIONS = (
    Option(name="--host", default="127.0.0.1", help="address to listen on (127.0.0.1)"),
    Option(name="--port", default=8089, help="port to listen on (8089); 0 means any free port"),
    Option(
        name="--scenario",
        default="documented",
        help=f"{', '.join(scenario.shipped())}, or the path of a YAML or JSON file",
    ),
    Option(
        name="--dialect",
        default=(),
        metavar="NAME=VARIANT",
        help="switch a dialect; may be given several times",
    ),
    Option(
        name="--fault",
        default=(),
        metavar="KIND[,key=value...]",
        help=f"add a fault, in place of those of the scenario; may be given several times: {', '.join(FaultKind)}",
    ),
    Option(name="--tls", default=False, help="speak HTTPS, with a certificate made at start"),
    Option(name="--cert", metavar="FILE", help="speak HTTPS with this certificate (PEM)"),
    Option(name="--key", metavar="FILE", help="the key of the certificate, if not in its file"),
    Option(
        name="--ca-file",
        metavar="FILE",
        help="where --tls writes what clients have to trust; otherwise a temporary file",
    ),
    Option(name="--cors", default=False, help="let pages in browsers use the portal"),
    Option(name="--log", default=False, help="write a line about each request to standard error"),
    Option(
        name="--port-file",
        metavar="FILE",
        help="write the port to this file once the portal listens; it is removed in the end",
    ),
    Option(name="--json", default=False, help="print what is there as one line of JSON"),
    Option(
        name="--webhooks",
        default=webhooks.LOOPBACK,
        metavar=f"{webhooks.LOOPBACK}|{webhooks.ANYWHERE}",
        help=f"where webhooks are called ({webhooks.LOOPBACK}: on this machine only)",
    ),
)
_TEXTS = {each.name for each in fields(Fault) if each.type in {str, str | None}}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    for option in OPTIONS:
        option.add_to(parser)


async def run(options: Namespace) -> None:
    """Listen until Ctrl-C or SIGTERM."""
    complete(options, OPTIONS, os.environ)
    stop = stop_event()
    portal = MockPortal(
        options.scenario,
        host=options.host,
        port=options.port,
        dialects=_dialects(options.dialect),
        faults=[_fault(given) for given in options.fault] or None,
        tls=_tls(options),
        ca_file=options.ca_file,
        cors=options.cors,
        log=options.log,
        webhooks=options.webhooks,
    )
    with explained(options.host, options.port):
        await portal.start()
    try:
        with _port_file(options.port_file, portal.port):
            say(_as_json(portal) if options.json else _describe(portal))
            await stop.wait()
    finally:
        await portal.stop()
    if not options.json:
        say("Stopped.")


@contextmanager
def _port_file(path: str | None, port: int) -> Iterator[None]:
    """Write the port to a file, if there is to be one, and remove the file at the end."""
    if path is None:
        yield
        return
    write_whole(Path(path), f"{port}\n", mode=0o644)
    try:
        yield
    finally:
        Path(path).unlink(missing_ok=True)


def _dialects(given: list[str]) -> dict[str, str]:
    """Return the chosen variants; several may stand in one text."""
    chosen = (text for texts in given for text in texts.split(","))
    return dict(text.partition("=")[::2] for text in chosen if text)


def _fault(given: str) -> dict[str, object]:
    """Return a fault; raise an error if it makes no sense."""
    # A comma may also stand inside a value, such as a body.
    kind, *details = re.split(r",(?=\w+=)", given)
    fault: dict[str, object] = {"kind": kind}
    for detail in details:
        name, _, text = detail.partition("=")
        if name in fault:
            msg = f"--fault {given}: {twice(name)}"
            raise SetupError(msg)
        fault[name] = text if name in _TEXTS else _value(text)
    serialization.load(Fault, fault, f"--fault {given}", datetime.now(UTC))
    return fault


def _value(text: str) -> object:
    """Return a value as JSON, or as a text if it is none."""
    try:
        value: object = from_json(text.encode(errors="surrogateescape"))
    except ValueError:
        return text
    return value


def _tls(options: Namespace) -> Tls:
    """Return which certificate to use."""
    if options.key and not options.cert:
        msg = "--key is the key of a certificate; name that as well (--cert)"
    elif options.ca_file and (options.cert or not options.tls):
        msg = "--ca-file is for the certificate that --tls makes; give --tls, and no --cert"
    elif options.cert:
        return (options.cert, options.key or options.cert)
    else:
        return bool(options.tls)
    raise SetupError(msg)


def _describe(portal: MockPortal) -> str:
    """Return the URLs, the credentials and the SIMs as text."""
    authority = [] if portal.ca_file is None else [f"CA file   {portal.ca_file}"]
    accounts = [
        f"Account   clientId {account.client_id}  secretKey {account.secret_key}"
        f"  apiToken {account.api_token}"
        for account in portal.state.accounts.values()
    ]
    sims = [f"SIM       {sim.iccid}  {sim.status}" for sim in portal.sims.values()]
    addresses = [
        f"Base URL  {portal.url}",
        f"Page      {portal.page_url}",
        f"Control   {portal.control_url}/",
    ]
    return "\n".join([*addresses, *authority, *accounts, *sims])


def _as_json(portal: MockPortal) -> str:
    """Return the same as one line of JSON."""
    return json.dumps(
        {
            "url": portal.url,
            "page_url": portal.page_url,
            "control_url": portal.control_url,
            "port": portal.port,
            "ca_file": None if portal.ca_file is None else str(portal.ca_file),
            "accounts": [
                {
                    "client_id": account.client_id,
                    "secret_key": account.secret_key,
                    "api_token": account.api_token,
                }
                for account in portal.state.accounts.values()
            ],
            "sims": [{"iccid": sim.iccid, "status": sim.status} for sim in portal.sims.values()],
        }
    )
