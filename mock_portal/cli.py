"""The program `mock-portal`."""

from argparse import Action, ArgumentParser, RawDescriptionHelpFormatter
import asyncio
from collections.abc import Sequence
from importlib import import_module
import sys
from typing import NoReturn, override

from .errors import SetupError

_DEFAULT_COMMAND = "serve"
# The module of each command, which is loaded only for that command, and what it does.
_COMMANDS = {
    _DEFAULT_COMMAND: (".serve", "listen until stopped (the default)"),
    "record": (
        ".real.record",
        "forward everything to a real portal, and write a redacted recording",
    ),
    "probe": (".real.probe_command", "ask a real portal, reading only, which assumptions hold"),
}
_OWN_OPTIONS = {"-h", "--help", "--version"}
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command the arguments name; bare options mean `serve`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in _OWN_OPTIONS):
        given.insert(0, _DEFAULT_COMMAND)
    options = _parser(given[0]).parse_args(given)
    try:
        asyncio.run(options.command(options))
    except SetupError as err:
        sys.stderr.write(f"mock-portal: {err}\n")
        return 1
    except KeyboardInterrupt:
        # Only if the event loop cannot handle signals, as on Windows.
        return 0
    return 0


class _Version(Action):
    """The option that prints the version, which is looked up only then."""

    @override
    def __call__(self, parser: ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata  # noqa: PLC0415  takes a while to load

        try:
            version = metadata.version("mock-portal")
        except metadata.PackageNotFoundError:
            version = "of a checkout that is not installed"
        sys.stdout.write(f"mock-portal {version}\n")
        parser.exit()


def _parser(chosen: str) -> ArgumentParser:
    """Return the parser; the chosen command has its options and its coroutine function."""
    parser = ArgumentParser(
        prog="mock-portal",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (module_name, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, formatter_class=RawDescriptionHelpFormatter
        )
        if name == chosen:
            module = import_module(module_name, __package__)
            command.description, command.epilog = module.DESCRIPTION, module.EPILOG
            module.add_arguments(command)
            command.set_defaults(command=module.run)
    return parser
