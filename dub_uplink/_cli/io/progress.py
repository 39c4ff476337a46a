"""A line on the terminal that says how far a long command is."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress
    from rich.console import RenderableType

_REFRESHES = 2  # a second: each takes some milliseconds from the work


class Progress:
    """A bar with a count, a rate and the time, on stderr, while within its ``with``.

    Nothing at all where stderr is no terminal, or if ``quiet``. Without a ``total`` there is no bar
    to fill. A ``passing`` one leaves nothing behind.
    """

    def __init__(
        self, title: str, total: int | None = None, *, passing: bool = False, quiet: bool = False
    ) -> None:
        self._live: rich.progress.Progress | None = None
        if quiet or sys.stderr is None or not sys.stderr.isatty():
            return
        from rich.console import Console  # noqa: PLC0415 - a pipe is drawn on by nobody

        self._live = _bar(Console(stderr=True), endless=total is None, passing=passing)
        self._task = self._live.add_task(title, total=total, note="", ended=False)

    def at(self, count: int) -> None:
        """So many are done."""
        if self._live is not None:
            self._live.update(self._task, completed=count, note="")

    def end(self, count: int) -> None:
        """These were all."""
        if self._live is not None:
            self._live.update(self._task, completed=count, note="", ended=True)

    def note(self, text: str) -> None:
        """Say what it waits for, until it goes on."""
        if self._live is not None:
            self._live.update(self._task, note=text)

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _bar(console: rich.console.Console, *, endless: bool, passing: bool) -> rich.progress.Progress:
    from rich import progress  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    class Count(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            of = "" if endless else f"/{task.total:,.0f}"
            return Text(f"{task.completed:,.0f}{of}", style="progress.download")

    class Spinner(progress.SpinnerColumn):
        def render(self, task: progress.Task) -> RenderableType:
            return " " if task.fields["ended"] else super().render(task)

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")

    shape: tuple[progress.ProgressColumn, ...] = (
        (Spinner(),) if endless else (progress.BarColumn(24),)
    )
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        *shape,
        Count(),
        Rate(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=console,
        transient=passing,
        refresh_per_second=_REFRESHES,
    )
