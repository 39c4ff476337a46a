"""Show the progress of a long command on the terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from dub_uplink._cli.io.text import is_terminal

if TYPE_CHECKING:
    import rich.progress

_MAX_BAR_WIDTH = 24  # columns of the terminal
_MIN_WIDTH_FOR_RATE = 60  # columns of the terminal; a narrower one shows no speed and no ETA
_REFRESHES_PER_SECOND = 2  # low, because each refresh takes some milliseconds


class Progress:
    """A progress bar on stderr; a context manager.

    Nothing is shown if stderr is not a terminal.

    Args:
        title: The text before the bar.
        total: The expected number at the end. ``None`` if unknown; no ETA is shown then.
        transient: Whether to remove the bar at the end.
        quiet: Whether to show nothing.
    """

    def __init__(
        self, title: str, total: int | None = None, *, transient: bool = False, quiet: bool = False
    ) -> None:
        self._live: rich.progress.Progress | None = None
        if quiet or not is_terminal(sys.stderr):
            return
        self._live = _make_bar(transient=transient)
        self._task = self._live.add_task(title, total=total, note="")

    @property
    def is_visible(self) -> bool:
        """Return whether the bar is shown."""
        return self._live is not None

    def set_total(self, total: int | None) -> None:
        """Set the expected number at the end; ``None`` if unknown."""
        if self._live is not None:
            self._live.update(self._task, total=total)

    def update(self, count: int) -> None:
        """Show the number of completed items, and remove the note."""
        if self._live is not None:
            self._live.update(self._task, completed=count, note="")

    def finish(self, count: int) -> None:
        """Show that all items are completed, even if their number is not the expected one."""
        if self._live is not None:
            self._live.update(self._task, completed=count, total=count, note="")

    def show_note(self, text: str) -> None:
        """Show a note until the next call of ``update``, such as the reason of a wait."""
        if self._live is not None:
            self._live.update(self._task, note=text)

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _make_bar(*, transient: bool) -> rich.progress.Progress:
    # Import rich here, because its import takes 0.1 s and a pipe needs no bar.
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(progress.ProgressColumn):
        """The number of items per second, for which rich has no column."""

        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")

    class Remaining(progress.TimeRemainingColumn):
        """The ETA. Without a total it is empty, while rich would show dashes."""

        def render(self, task: progress.Task) -> Text:
            if task.total is None or task.finished or task.time_remaining is None:
                return Text("")
            return Text("ETA ") + super().render(task)

    console = Console(stderr=True)
    # Do not wrap, because rich would not erase all of a wrapped line. On a narrow terminal, first
    # the bar becomes shorter, then each column is truncated.
    unwrapped = Column(no_wrap=True)
    columns = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(None, table_column=Column(max_width=_MAX_BAR_WIDTH)),
        progress.MofNCompleteColumn(table_column=unwrapped),
        Rate(table_column=unwrapped),
        progress.TimeElapsedColumn(table_column=unwrapped),
        Remaining(table_column=unwrapped),
        progress.TextColumn("{task.fields[note]}", markup=False, style="dim"),
    ]
    if console.width < _MIN_WIDTH_FOR_RATE:
        columns = [each for each in columns if not isinstance(each, (Rate, Remaining))]
    return progress.Progress(
        *columns,
        console=console,
        transient=transient,
        refresh_per_second=_REFRESHES_PER_SECOND,
    )
