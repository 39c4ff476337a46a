"""Show the progress of a long command on the terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from dub_uplink._cli.io.text import is_terminal

if TYPE_CHECKING:
    import rich.progress

_BAR = 24  # columns of the terminal that the bar takes at most
_NARROW = 60  # columns of a terminal below which neither the speed nor the ETA is shown
_REFRESHES = 2  # a second: each takes some milliseconds from the work


class Progress:
    """A progress bar on stderr; a context manager.

    Shows nothing if stderr is not a terminal.

    Args:
        title: The text before the bar.
        total: The number at the end; ``None`` if it is not known, which leaves out the ETA.
        transient: Remove the bar at the end.
        quiet: Show nothing.
    """

    def __init__(
        self, title: str, total: int | None = None, *, transient: bool = False, quiet: bool = False
    ) -> None:
        self._live: rich.progress.Progress | None = None
        if quiet or not is_terminal(sys.stderr):
            return
        self._live = _bar(transient=transient)
        self._task = self._live.add_task(title, total=total, note="")

    @property
    def visible(self) -> bool:
        """Return whether anything is shown."""
        return self._live is not None

    def set_total(self, total: int | None) -> None:
        """Set the number at the end; ``None`` if it is not known."""
        if self._live is not None:
            self._live.update(self._task, total=total)

    def at(self, count: int) -> None:
        """Show that so many are done."""
        if self._live is not None:
            self._live.update(self._task, completed=count, note="")

    def end(self, count: int) -> None:
        """Show that all are done, whatever the total was."""
        if self._live is not None:
            self._live.update(self._task, completed=count, total=count, note="")

    def note(self, text: str) -> None:
        """Show what the command waits for, until the next ``at``."""
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


def _bar(*, transient: bool) -> rich.progress.Progress:
    # Imported here: rich takes 0.1 s to load, which a pipe need not pay.
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(progress.ProgressColumn):
        """The speed; rich has only one for bytes."""

        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")

    class Remaining(progress.TimeRemainingColumn):
        """The ETA, which rich shows as dashes without a total."""

        def render(self, task: progress.Task) -> Text:
            if task.total is None or task.finished or task.time_remaining is None:
                return Text("")
            return Text("ETA ") + super().render(task)

    console = Console(stderr=True)
    # A line that wraps is not erased entirely before the next one is drawn. The bar gives way
    # first, then the end of each column.
    whole = Column(no_wrap=True)
    columns = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(None, table_column=Column(max_width=_BAR)),
        progress.MofNCompleteColumn(table_column=whole),
        Rate(table_column=whole),
        progress.TimeElapsedColumn(table_column=whole),
        Remaining(table_column=whole),
        progress.TextColumn("{task.fields[note]}", markup=False, style="dim"),
    ]
    if console.width < _NARROW:
        columns = [each for each in columns if not isinstance(each, (Rate, Remaining))]
    return progress.Progress(
        *columns,
        console=console,
        transient=transient,
        refresh_per_second=_REFRESHES,
    )
