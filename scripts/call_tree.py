"""Records which functions of a folder run, and through whom each of them was called."""

from asyncio import BaseEventLoop
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import inspect
from pathlib import Path
import sys
from types import CodeType, FrameType
from typing import override

from homeassistant.util.async_ import create_eager_task

# A task may begin on top of the code that creates it, but that code does not wait for it.
TASK_CREATORS = {BaseEventLoop.create_task.__code__, create_eager_task.__code__}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The number of distinct functions, their modules, their calls, and the greatest depth of calls."""

    functions: int
    modules: int
    calls: int
    depth: int

    @override
    def __str__(self) -> str:
        """Return one line."""
        return (
            f"{self.functions} functions, {self.modules} modules, "
            f"{self.calls} calls, depth {self.depth}"
        )


@dataclass(kw_only=True)
class Node:
    """A function within a chain of callers: how often it was called there, and what it called."""

    calls: int = 0
    callees: dict[CodeType, Node] = field(default_factory=dict)

    def walk(self, depth: int = 1) -> Iterator[tuple[int, CodeType, Node]]:
        """Yield all nodes below this one with their depth, each before its callees."""
        for code, node in self.callees.items():
            yield depth, code, node
            yield from node.walk(depth + 1)


class CallTree:
    """The calls of the functions below a folder, in all tasks and threads.

    For each call the interpreter is asked for the frames below it. When a coroutine is resumed these are the
    coroutines that await it, so neither a wait nor other tasks in between change who called it.
    """

    def __init__(self, folder: Path) -> None:
        """Start empty."""
        self._prefix = f"{folder}/"
        self._root = Node()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record calls while the context lasts."""
        monitoring, tool = sys.monitoring, sys.monitoring.PROFILER_ID
        monitoring.use_tool_id(tool, __name__)
        monitoring.register_callback(tool, monitoring.events.PY_START, self._record)
        # An earlier recording may have switched off what this one is about.
        monitoring.restart_events()
        monitoring.set_events(tool, monitoring.events.PY_START)
        try:
            yield
        finally:
            monitoring.clear_tool_id(tool)
            monitoring.free_tool_id(tool)

    def _record(self, code: CodeType, _offset: int) -> object:
        """Count a call of one of the functions; any other function is not reported again."""
        if not self._is_traced(code):
            return sys.monitoring.DISABLE
        node = self._root
        for caller in self._chain(sys._getframe(1)):  # noqa: SLF001  the only way to the frames below
            node = node.callees.setdefault(caller, Node())
        node.calls += 1
        return None

    def _chain(self, frame: FrameType | None) -> list[CodeType]:
        """Return the functions that a frame was called through within its task, the outermost first."""
        chain = []
        while frame is not None and frame.f_code not in TASK_CREATORS:
            if self._is_traced(frame.f_code):
                chain.append(frame.f_code)
            frame = frame.f_back
        return chain[::-1]

    def _is_traced(self, code: CodeType) -> bool:
        """Return whether code is a function of the folder.

        Lambdas and generator expressions count as a part of what they are written in.
        """
        return (
            code.co_filename.startswith(self._prefix)
            and bool(code.co_flags & inspect.CO_OPTIMIZED)  # neither a module nor a class
            and not code.co_name.startswith("<")
        )

    @property
    def figures(self) -> Figures:
        """Return the figures of all calls so far."""
        called = [
            (depth, code, node.calls) for depth, code, node in self._root.walk() if node.calls
        ]
        return Figures(
            functions=len({code for _, code, _ in called}),
            modules=len({code.co_filename for _, code, _ in called}),
            calls=sum(calls for _, _, calls in called),
            depth=max((depth for depth, _, _ in called), default=0),
        )

    @override
    def __str__(self) -> str:
        """Return one line a node, indented below its caller: the function and how often it was called there."""
        return "\n".join(
            f"{'  ' * (depth - 1)}{self._name(code)}: {node.calls}"
            for depth, code, node in self._root.walk()
        )

    def _name(self, code: CodeType) -> str:
        """Return the module and the name of a function."""
        module = code.co_filename.removeprefix(self._prefix).removesuffix(".py").replace("/", ".")
        return f"{module}.{code.co_qualname.replace('.<locals>', '')}"
