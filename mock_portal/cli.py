"""The program `mock-portal`."""

from argparse import ArgumentParser, Namespace
import asyncio
from collections.abc import Sequence
import signal
import sys

from . import scenario
from .errors import SetupError
from .server import MockPortal

_DEFAULT_COMMAND = "serve"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command the arguments name; bare options mean `serve`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help"}):
        given.insert(0, _DEFAULT_COMMAND)
    options = _parser().parse_args(given)
    try:
        asyncio.run(options.command(options))
    except (SetupError, OSError) as err:
        sys.stderr.write(f"mock-portal: {_explain(err, options)}\n")
        return 1
    return 0


def _parser() -> ArgumentParser:
    """Return the parser; a command is a sub-parser with a coroutine function."""
    parser = ArgumentParser(
        prog="mock-portal", description="A stand-in for the IoT Portal Core API"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser(_DEFAULT_COMMAND, help="listen until stopped (the default)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=8089, help="port to listen on; 0 takes any")
    serve.add_argument(
        "--scenario",
        default="documented",
        help=f"{', '.join(scenario.shipped())}, or the path of a YAML or JSON file",
    )
    serve.set_defaults(command=_serve)
    return parser


async def _serve(options: Namespace) -> None:
    """Listen until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with MockPortal(options.scenario, host=options.host, port=options.port) as portal:
        sys.stdout.write(_describe(portal))
        sys.stdout.flush()
        await stop.wait()
    sys.stdout.write("Stopped.\n")


def _describe(portal: MockPortal) -> str:
    """Say where the portal is, how to log in and which SIMs there are."""
    accounts = [
        f"Account   clientId {account.client_id}  secretKey {account.secret_key}"
        f"  apiToken {account.api_token}"
        for account in portal.state.accounts.values()
    ]
    sims = [f"SIM       {sim.iccid}  {sim.status}" for sim in portal.sims.values()]
    return "\n".join(
        [f"Base URL  {portal.url}", f"Control   {portal.control_url}/", *accounts, *sims, ""]
    )


def _explain(err: Exception, options: Namespace) -> str:
    """Say in one sentence why the program cannot go on."""
    if isinstance(err, OSError):
        return f"cannot listen on {options.host} port {options.port}: {err.strerror}"
    return str(err)
