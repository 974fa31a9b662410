"""Plants small faults into modules, one at a time, and prints those that no test notices (mutation testing).

First each test runs once, to see which lines it runs and how long it takes. Each fault then meets the tests that run its
line, until one of them fails. A test that takes many times as long as before has noticed the fault too.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
import gc
import importlib
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import accumulate, batched, zip_longest
import os
from pathlib import Path
import pickle
import pkgutil
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory
from time import monotonic
import traceback
from types import CodeType, FunctionType
from typing import Any, Final, override

import pytest

from .mutants import Mutant, find_mutants

PACKAGE: Final = "custom_components.iot_portal"
TESTS: Final = [
    f"tests/{name}" for name in ("api", "contract", "faults", "field_reports", "integration")
]
# Time-outs are ours: pytest-timeout needs the same timer.
PYTEST_OPTIONS: Final = ["-q", "-p", "no:cacheprovider", "-p", "no:timeout"]
PART: Final = 100
MONITORING_TOOL: Final = 4
MIN_TIMEOUT, TIMEOUT_FACTOR = 5.0, 10.0
MAX_MEMORY: Final = 8 * 1024**3
# In the place of the test that has noticed a mutant.
TIMED_OUT: Final = "time-out"
COLLECTION: Final = "collection of the tests"
IMPORT_AGAIN: Final = "import again"

type Lines = Iterable[tuple[str, int]]


def forked[K](
    works: Iterable[tuple[K, Callable[[], Any]]], width: int, *, otherwise: Any = None
) -> Iterator[tuple[K, Any]]:
    """Run functions in forks of this process, so many at a time, and yield what they return.

    Of one that a time-out ends it is the last argument.
    """
    running: dict[int, tuple[K, Path]] = {}
    with TemporaryDirectory() as folder:
        for number, (key, work) in enumerate(works):
            if len(running) == width:
                yield _join(running, otherwise)
            path = Path(folder) / str(number)
            path.mkdir()
            if not (child := os.fork()):
                _run_child(path, work)
            running[child] = key, path
        while running:
            yield _join(running, otherwise)


def _run_child(folder: Path, work: Callable[[], Any]) -> None:
    """Write what a function returns, or its traceback, into a folder, and exit."""
    status = 1
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    try:
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
        (folder / "result").write_bytes(pickle.dumps(work()))
        status = 0
    except BaseException:  # noqa: BLE001  this process ends here, whatever it is
        os.write(log, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _join[K](running: dict[int, tuple[K, Path]], otherwise: Any) -> tuple[K, Any]:
    """Wait for one of the forks, and return what its function returned."""
    child, status = os.wait()
    key, folder = running.pop(child)
    try:
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            return key, otherwise
        if status:
            raise RuntimeError((folder / "log").read_text())
        return key, pickle.loads((folder / "result").read_bytes())  # noqa: S301  our own
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Tests:
    """A session of pytest that does something else with the tests than to run them all."""

    def __init__(self, paths: Iterable[str], use: Callable[[Tests], Any]) -> None:
        """Collect tests and use them."""
        self._use = use
        self.result: Any = None
        status = pytest.main([*PYTEST_OPTIONS, *paths], plugins=[self])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            msg = f"pytest ended with {status}"
            raise RuntimeError(msg)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Use the tests, in the place of pytest's own loop; all of them can be collected."""
        if session.testsfailed:
            raise session.Interrupted(COLLECTION)
        self._session = session
        self._items = {item.nodeid: item for item in session.items}
        self.result = self._use(self)
        return True

    @property
    def names(self) -> list[str]:
        """Return the IDs of the tests."""
        return list(self._items)

    def run(self, names: list[str], timeouts: Mapping[str, float]) -> Iterator[tuple[str, bool]]:
        """Run tests, and yield each with whether it has passed; a time-out ends the process."""
        for name, following in zip_longest(names, names[1:], fillvalue=""):
            failed = self._session.testsfailed
            # The signal ends the process, whatever Python is doing.
            signal.setitimer(signal.ITIMER_REAL, timeouts.get(name, 0))
            item = self._items[name]
            item.ihook.pytest_runtest_protocol(item=item, nextitem=self._items.get(following))
            signal.setitimer(signal.ITIMER_REAL, 0)
            yield name, self._session.testsfailed == failed

    def first_failure(self, names: list[str], timeouts: Mapping[str, float]) -> str | None:
        """Return the first of some tests that fails."""
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
        # A constant can be part of the ID of a test.
        there = [name for name in names if name in self._items]
        return next(
            (name for name, has_passed in self.run(there, timeouts) if not has_passed), None
        )


class Package:
    """The functions of a package."""

    def __init__(self, name: str) -> None:
        """Import all modules of the package."""
        root = importlib.import_module(name)
        for module in pkgutil.walk_packages(root.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        folder = f"{Path(root.__path__[0])}{os.sep}"
        self._functions: dict[CodeType, list[FunctionType]] = defaultdict(list)
        for function in gc.get_objects():
            if isinstance(function, FunctionType) and function.__code__.co_filename.startswith(
                folder
            ):
                self._functions[function.__code__].append(function)

    @property
    def code(self) -> Iterator[CodeType]:
        """Yield the code of all functions and of those within."""
        waiting = list(self._functions)
        while waiting:
            code = waiting.pop()
            yield code
            waiting += _nested(code)

    def plant(self, mutant: Mutant) -> None:
        """Give the functions of a module their code with a mutant; raise ValueError where that is impossible."""
        pairs = [(_compile(mutant.path, mutant.source), _compile(mutant.path, mutant.mutated))]
        for before, after in pairs:
            for function in self._functions.get(before, ()):
                function.__code__ = after
            inner = _nested(before), _nested(after)
            if len(inner[0]) == len(inner[1]):
                pairs += zip(*inner, strict=True)


def _compile(path: str, source: bytes) -> CodeType:
    """Return the code of a module."""
    return compile(source, path, "exec", dont_inherit=True)


def _nested(code: CodeType) -> list[CodeType]:
    """Return the code of the functions and classes within code."""
    return [each for each in code.co_consts if isinstance(each, CodeType)]


class MutantImporter(SourceFileLoader):
    """Imports a module with a mutant."""

    def __init__(self, name: str, mutant: Mutant) -> None:
        """Wait for the import of the module."""
        super().__init__(name, mutant.path)
        self._mutant = mutant

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> ModuleSpec | None:
        """Return how to import the module, nothing for others."""
        return spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    @override
    def get_code(self, fullname: str) -> CodeType:
        """Return the code with the mutant."""
        return _compile(self._mutant.path, self._mutant.mutated)


@dataclass(kw_only=True)
class Measurement:
    """What the tests do without a mutant."""

    # Of the tests that pass, in seconds.
    durations: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    # The tests that run a line, by file and number of the line.
    tests: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def add(self, name: str, duration: float, lines: Lines) -> None:
        """Add a test that passes."""
        self.durations[name] = duration
        for line in lines:
            self.tests.setdefault(line, set()).add(name)

    def running(self, lines: Lines) -> set[str]:
        """Return the tests that run any of some lines."""
        return set().union(*(self.tests.get(line, ()) for line in lines))

    @property
    def timeouts(self) -> dict[str, float]:
        """Return how long each test may take with a mutant."""
        return {
            name: MIN_TIMEOUT + TIMEOUT_FACTOR * duration
            for name, duration in self.durations.items()
        }


def measure(tests: Tests, package: Package, names: tuple[str, ...]) -> Any:
    """Run tests; return each with whether it passed, its seconds and its lines, and the imported modules."""
    lines: set[tuple[str, int]] = set()

    def note(code: CodeType, line: int) -> object:
        """Note a line, the first time that a test runs it."""
        lines.add((code.co_filename, line))
        return sys.monitoring.DISABLE

    event = sys.monitoring.events.LINE
    sys.monitoring.use_tool_id(MONITORING_TOOL, "mutate")
    sys.monitoring.register_callback(MONITORING_TOOL, event, note)
    for code in package.code:
        sys.monitoring.set_local_events(MONITORING_TOOL, code, event)
    results = []
    began = monotonic()
    for name, has_passed in tests.run(list(names), {}):
        results.append((name, has_passed, monotonic() - began, list(lines)))
        lines.clear()
        sys.monitoring.restart_events()
        began = monotonic()
    return results, list(sys.modules)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    # The test that has noticed it.
    test: str | None
    # The number of tests that can notice it, and of those that fit into the budget.
    tests: int
    within_budget: int

    @override
    def __str__(self) -> str:
        """Return what happened, and the change."""
        part = "" if self.within_budget == self.tests else f"{self.within_budget} of "
        fate = f"killed by {self.test}" if self.test else f"survived {part}{self.tests} tests"
        return f"{self.mutant.path}:{self.mutant.line}: {fate}\n{self.mutant}"


class MutationRun:
    """Plants mutants into a package, and runs the tests that can notice them."""

    def __init__(self, options: Namespace, show: Callable[[object], None]) -> None:
        """Prepare a run."""
        self._package: str = options.package
        self._paths: list[str] = options.tests
        self._jobs: int = options.jobs
        self._budget: float = options.budget
        self._show = show
        self._is_verbose: bool = options.verbose
        self._measured = Measurement()
        self._kills: Counter[tuple[str, str]] = Counter()

    def results(self, mutants: list[Mutant]) -> list[Result]:
        """Return what becomes of each mutant."""
        # A process that has imported everything is forked for each mutant within a function.
        results: list[Result]
        [(_, (self._measured, self._kills, results))] = forked(
            [(None, partial(self._in_functions, mutants))], 1
        )
        # The others change what is made when a module is imported.
        done = {result.mutant for result in results}
        others = [mutant for mutant in mutants if mutant not in done]
        return results + list(self._each(others, self._import_and_run))

    def _in_functions(self, mutants: list[Mutant]) -> Any:
        """Measure the tests, and return what becomes of mutants within functions."""

        def use(tests: Tests) -> list[Result]:
            """Use a session with all tests collected."""
            package = Package(self._package)
            self._measure(tests, package)
            gc.freeze()
            # What no test runs may run while its module is imported.
            in_functions = [mutant for mutant in mutants if self._running(mutant)]
            return list(self._each(in_functions, partial(self._plant_and_run, tests, package)))

        return self._measured, self._kills, Tests(self._paths, use).result

    def _measure(self, tests: Tests, package: Package) -> None:
        """Run all tests without a mutant."""
        parts = [
            (None, partial(measure, tests, package, names))
            for names in batched(tests.names, PART, strict=False)
        ]
        self._show(f"{len(tests.names)} tests")
        modules: set[str] = set()
        for _, (results, imported) in forked(parts, self._jobs):
            modules.update(imported)
            for name, has_passed, duration, lines in results:
                if has_passed:
                    self._measured.add(name, duration, lines)
                else:
                    self._show(f"{name} fails without a mutant")
        # Else the tests of every mutant would import them again.
        for name in sorted(modules - set(sys.modules)):
            with suppress(Exception):
                importlib.import_module(name)
        self._show(f"They take {sum(self._measured.durations.values()):.0f} s.")

    def _each(
        self, mutants: list[Mutant], run: Callable[[Mutant, list[str]], str | None]
    ) -> Iterator[Result]:
        """Run the tests of each mutant, and yield what becomes of it."""
        for (mutant, tests, within_budget), test in forked(
            self._works(mutants, run), self._jobs, otherwise=TIMED_OUT
        ):
            if test == IMPORT_AGAIN:
                continue
            result = Result(mutant=mutant, test=test, tests=tests, within_budget=within_budget)
            self._kills[mutant.path, test or ""] += 1
            if self._is_verbose or not test:
                self._show(result)
            yield result

    def _works(
        self, mutants: list[Mutant], run: Callable[[Mutant, list[str]], str | None]
    ) -> Iterator[tuple[tuple[Mutant, int, int], Callable[[], str | None]]]:
        """Yield what runs the tests of each mutant, with the number of tests, and of those within the budget."""
        for mutant in mutants:
            tests = self._tests(mutant)
            ends = accumulate(self._measured.durations[test] for test in tests)
            within_budget = sum(end < self._budget for end in ends)
            yield (
                (mutant, len(tests), within_budget),
                partial(run, mutant, tests[:within_budget]),
            )

    def _tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that can notice a mutant, those first that are likely to, for the time that they take."""
        tests = self._running(mutant) or self._measured.running(self._users(mutant))
        # Likely are tests that run what few others run around it, and those that have noticed others in the module.
        chance = dict.fromkeys(tests, 1.0)
        for line in mutant.around:
            running = self._measured.running([(mutant.path, line)])
            for test in running & tests:
                chance[test] += len(self._measured.durations) / len(running)
        return sorted(
            tests,
            key=lambda test: (
                self._measured.durations[test]
                / (chance[test] * (1 + self._kills[mutant.path, test]))
            ),
        )

    def _running(self, mutant: Mutant) -> set[str]:
        """Return the tests that run a mutant within a function."""
        tests: set[str] = set()
        if mutant.in_function:
            for lines in mutant.lines:
                tests = tests or self._measured.running((mutant.path, line) for line in lines)
        return tests

    def _users(self, mutant: Mutant) -> Lines:
        """Yield the lines that may use what a mutant changes in an import."""
        if mutant.constant is None:
            yield from ((path, line) for path, line in self._measured.tests if path == mutant.path)
            return
        name = re.compile(rf"\b{mutant.constant}\b")
        for path in {path for path, _ in self._measured.tests}:
            for number, line in enumerate(Path(path).read_text().splitlines(), 1):
                if name.search(line):
                    yield path, number

    def _plant_and_run(
        self, tests: Tests, package: Package, mutant: Mutant, names: list[str]
    ) -> str | None:
        """Return the test that notices a mutant within a function."""
        try:
            package.plant(mutant)
        except ValueError:
            return IMPORT_AGAIN
        return tests.first_failure(names, self._measured.timeouts)

    def _import_and_run(self, mutant: Mutant, names: list[str]) -> str | None:
        """Return the test that notices a mutant, in a process that has not imported the module."""
        if not names:
            return None
        module = ".".join(Path(mutant.path).relative_to(Path.cwd()).with_suffix("").parts)
        sys.meta_path.insert(0, MutantImporter(module.removesuffix(".__init__"), mutant))
        use = partial(Tests.first_failure, names=names, timeouts=self._measured.timeouts)
        try:
            failed: str | None = Tests({name.split("::")[0] for name in names}, use).result
        except RuntimeError:
            return COLLECTION
        return failed


def _changed_lines(path: Path, revision: str) -> set[int]:
    """Return the lines of a file that were added or changed since a revision."""
    command = ["git", "diff", "--unified=0", revision, "--", str(path)]
    diff = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return {
        line
        for start, count in re.findall(r"^@@ \S+ \+(\d+)(?:,(\d+))? @@", diff, re.MULTILINE)
        for line in range(int(start), int(start) + int(count or 1))
    }


def _select(options: Namespace) -> list[Mutant]:
    """Return the mutants that are asked for."""
    folder = Path(options.package.replace(".", "/")).resolve()
    selected = []
    for module in options.modules or sorted(map(str, folder.rglob("*.py"))):
        name, _, lines = module.partition(":")
        first, _, last = lines.partition("-")
        path = folder / name
        wanted = range(int(first), int(last or first) + 1) if lines else None
        changed = _changed_lines(path, options.since) if options.since else None
        selected += [
            mutant
            for mutant in find_mutants(str(path), path.read_bytes())
            if (wanted is None or mutant.line in wanted)
            and (changed is None or mutant.line in changed)
        ]
    if options.sample and options.sample < len(selected):
        chosen = random.Random(options.seed).sample(range(len(selected)), options.sample)  # noqa: S311
        selected = [selected[number] for number in sorted(chosen)]
    return selected


def _table(results: list[Result]) -> str:
    """Return the counts of each module."""
    rows = [("module", "mutants", "killed", "survived", "killed %")]
    mutants = Counter(Path(result.mutant.path).relative_to(Path.cwd()) for result in results)
    survived = Counter(
        Path(result.mutant.path).relative_to(Path.cwd()) for result in results if not result.test
    )
    for path, count in sorted(mutants.items()):
        killed = count - survived[path]
        rows.append(
            (str(path), str(count), str(killed), str(survived[path]), f"{killed / count:.1%}")
        )
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        f"{name:{width}} {' '.join(f'{value:>9}' for value in values)}" for name, *values in rows
    )


def _parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(
        prog="scripts/mutate", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "modules",
        nargs="*",
        metavar="MODULE",
        help="a file of the package, such as api/client.py, or lines of it: api/client.py:20-30",
    )
    add("--package", default=PACKAGE)
    add("--tests", nargs="+", default=TESTS, help="files or folders of tests")
    add("--since", metavar="REVISION", help="only lines changed since a revision of git")
    add("--sample", type=int, metavar="N", help="only so many mutants, chosen at random")
    add("--seed", type=int, default=0, help="of the choice")
    add("--jobs", type=int, default=2)
    add("--budget", type=float, default=60, help="seconds of tests for one mutant")
    add("--verbose", action="store_true", help="print mutants that are killed, too")
    return parser


def main() -> None:
    """Plant mutants, and print what no test notices; exit with 1 if there is any."""
    options = _parser().parse_args()
    # The forks have their own standard output.
    with os.fdopen(os.dup(1), "w") as console:
        show = partial(print, file=console, flush=True)
        mutants = _select(options)
        show(f"{len(mutants)} mutants")
        began = monotonic()
        results = MutationRun(options, show).results(mutants)
        show(f"{_table(results)}\n{monotonic() - began:.0f} s")
    sys.exit(any(result.test is None for result in results))


if __name__ == "__main__":
    main()
