"""The program `mock-portal`."""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
import asyncio
from collections.abc import Sequence
import sys

from . import scenario
from .errors import SetupError
from .real import probe_command, record
from .server import MockPortal
from .signals import stop_event

_DEFAULT_COMMAND = "serve"
_DESCRIPTION = """\
A stand-in for the IoT Portal Core API, and two tools for a real portal.
The default command is serve; each command has its own --help.
"""
_EPILOG = """\
examples:
  mock-portal                                  the published examples on port 8089
  mock-portal --scenario demo --port 9000      SIMs that change over time
  mock-portal probe --base-url https://...     ask a real portal which assumptions hold
  mock-portal record --upstream https://...    record the traffic of your client with a portal
"""
_SERVE_DESCRIPTION = """\
Listens as a portal, and prints its base URL, the credentials and the SIMs. Your client uses the
base URL; tests use the control interface beside it, where GET /_mock/ explains everything.

It keeps everything in memory, sends nothing but the webhooks of bulk edits, and has no protection:
do not expose it to a network you do not trust.
"""
_SERVE_EPILOG = """\
examples:
  mock-portal serve --scenario demo
  mock-portal serve --scenario flaky --dialect sms_id=bare --dialect usage_body=object
  mock-portal serve --scenario bug.yaml        replay what `mock-portal record` wrote
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command the arguments name; bare options mean `serve`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help"}):
        given.insert(0, _DEFAULT_COMMAND)
    options = _parser().parse_args(given)
    try:
        asyncio.run(options.command(options))
    except SetupError as err:
        sys.stderr.write(f"mock-portal: {err}\n")
        return 1
    except KeyboardInterrupt:
        # Only if the event loop cannot handle signals, as on Windows.
        return 0
    return 0


def _parser() -> ArgumentParser:
    """Return the parser; a command is a sub-parser with a coroutine function."""
    parser = ArgumentParser(
        prog="mock-portal",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser(
        _DEFAULT_COMMAND,
        help="listen until stopped (the default)",
        description=_SERVE_DESCRIPTION,
        epilog=_SERVE_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument(
        "--port", type=int, default=8089, help="port to listen on; 0 means any free port"
    )
    serve.add_argument(
        "--scenario",
        default="documented",
        help=f"{', '.join(scenario.shipped())}, or the path of a YAML or JSON file",
    )
    serve.add_argument(
        "--dialect",
        action="append",
        default=[],
        metavar="NAME=VARIANT",
        help="switch a dialect; may be given several times",
    )
    serve.set_defaults(command=_serve)
    for name, module in (("record", record), ("probe", probe_command)):
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(command=module.run)
    return parser


async def _serve(options: Namespace) -> None:
    """Listen until Ctrl-C or SIGTERM."""
    stop = stop_event()
    dialects = dict(given.partition("=")[::2] for given in options.dialect)
    portal = MockPortal(options.scenario, host=options.host, port=options.port, dialects=dialects)
    try:
        await portal.start()
        sys.stdout.write(_describe(portal))
        sys.stdout.flush()
        await stop.wait()
    except OSError as err:
        msg = f"cannot listen on {options.host} port {options.port}: {err.strerror}"
        raise SetupError(msg) from err
    finally:
        await portal.stop()
    sys.stdout.write("Stopped.\n")


def _describe(portal: MockPortal) -> str:
    """Return the URLs, the credentials and the SIMs as text."""
    accounts = [
        f"Account   clientId {account.client_id}  secretKey {account.secret_key}"
        f"  apiToken {account.api_token}"
        for account in portal.state.accounts.values()
    ]
    sims = [f"SIM       {sim.iccid}  {sim.status}" for sim in portal.sims.values()]
    return "\n".join(
        [f"Base URL  {portal.url}", f"Control   {portal.control_url}/", *accounts, *sims, ""]
    )
