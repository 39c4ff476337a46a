"""Show the progress of a long command on the terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from dub_uplink._cli.io.text import is_terminal

if TYPE_CHECKING:
    import rich.progress

#: The maximum width of the bar, in characters.
_MAX_BAR_WIDTH = 24
#: A terminal narrower than this number of characters shows no rate and no ETA.
_MIN_WIDTH_FOR_RATE = 60
#: The bar is refreshed rarely, because each refresh takes some milliseconds.
_REFRESHES_PER_SECOND = 2


class Progress:
    """A progress bar on stderr, as a context manager.

    If stderr is not a terminal, nothing is shown. The text after the bar is called the note.

    Args:
        title: The text before the bar.
        total: The expected total number of items. If it is ``None``, no ETA is shown.
        transient: Whether to remove the bar at the end.
        quiet: Whether to show nothing.
    """

    def __init__(
        self, title: str, total: int | None = None, *, transient: bool = False, quiet: bool = False
    ) -> None:
        self._bar: rich.progress.Progress | None = None
        if quiet or not is_terminal(sys.stderr):
            return
        self._bar = _make_bar(transient=transient)
        self._task = self._bar.add_task(title, total=total, note="")

    @property
    def is_visible(self) -> bool:
        """Return whether the bar is shown."""
        return self._bar is not None

    def set_total(self, total: int | None) -> None:
        """Set the expected total number of items; ``None`` if it is unknown."""
        if self._bar is not None:
            self._bar.update(self._task, total=total)

    def update(self, count: int) -> None:
        """Show the number of completed items, and remove the note."""
        if self._bar is not None:
            self._bar.update(self._task, completed=count, note="")

    def finish(self, count: int) -> None:
        """Show that all items are completed. ``count`` replaces the expected total."""
        if self._bar is not None:
            self._bar.update(self._task, completed=count, total=count, note="")

    def show_note(self, text: str) -> None:
        """Show a note, such as the reason for a wait, until the next call of ``update``."""
        if self._bar is not None:
            self._bar.update(self._task, note=text)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _make_bar(*, transient: bool) -> rich.progress.Progress:
    # Import rich only if a bar is shown, because the import takes 0.1 s.
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(progress.ProgressColumn):
        """Shows the number of items per second. rich has no such column."""

        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")

    class Remaining(progress.TimeRemainingColumn):
        """Shows the ETA, or nothing if the total is unknown. rich's own column shows dashes."""

        def render(self, task: progress.Task) -> Text:
            if task.total is None or task.finished or task.time_remaining is None:
                return Text("")
            return Text("ETA ") + super().render(task)

    console = Console(stderr=True)
    # Do not wrap, because rich does not erase all of a wrapped line. On a narrow terminal, rich
    # first shortens the bar, and then truncates the columns.
    no_wrap = Column(no_wrap=True)
    columns = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(None, table_column=Column(max_width=_MAX_BAR_WIDTH)),
        progress.MofNCompleteColumn(table_column=no_wrap),
        Rate(table_column=no_wrap),
        progress.TimeElapsedColumn(table_column=no_wrap),
        Remaining(table_column=no_wrap),
        progress.TextColumn("{task.fields[note]}", markup=False, style="dim"),
    ]
    if console.width < _MIN_WIDTH_FOR_RATE:
        columns = [column for column in columns if not isinstance(column, (Rate, Remaining))]
    return progress.Progress(
        *columns,
        console=console,
        transient=transient,
        refresh_per_second=_REFRESHES_PER_SECOND,
    )
