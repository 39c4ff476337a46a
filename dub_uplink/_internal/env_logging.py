"""Enable logging to stderr with the environment variable ``DUB_LOG``."""

from __future__ import annotations

import logging
import os
import warnings

from .config import caller_stacklevel
from .fork_safety import ForkSafeLock

LEVEL_ENV = "DUB_LOG"
_LEVELS = {"info": logging.INFO, "debug": logging.DEBUG}
#: The level of the logger while ``DUB_LOG`` applies. With a higher level, a record would not reach
#: the filter, which detects that the process has configured logging.
_LOWEST_LEVEL = 1
_lock = ForkSafeLock()
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def enable_env_logging() -> None:
    """Log to stderr at the level of ``DUB_LOG``, unless the process has configured logging.

    If the value of ``DUB_LOG`` is not a level, issue a warning.
    """
    level_name = os.environ.get(LEVEL_ENV)
    if not level_name:
        return
    level = _LEVELS.get(level_name.strip().lower())
    if level is None:
        warnings.warn(
            f"{LEVEL_ENV} must be info or debug, not {level_name!r:.40}; nothing is logged",
            stacklevel=caller_stacklevel(),
        )
        return
    logger = logging.getLogger("dub_uplink")
    with _lock:
        if not _active_handlers(logger):
            _StderrLogging(logger, level)


def _active_handlers(logger: logging.Logger) -> list[logging.Handler]:
    """Return the handlers of the logger and of the root logger, without ``NullHandler``s."""
    handlers = [*logger.handlers, *logging.getLogger().handlers]
    return [handler for handler in handlers if not isinstance(handler, logging.NullHandler)]


class _StderrLogging(logging.Filter):
    """Log to stderr until the process configures logging, then restore the logger.

    This class is a filter because a logger calls its filters before its handlers. Therefore the
    level that the process configures applies from the first record on.
    """

    def __init__(self, logger: logging.Logger, level: int) -> None:
        super().__init__()
        self._logger = logger
        self._level = level
        self._handler = logging.StreamHandler()
        self._handler.setFormatter(logging.Formatter(_LOG_FORMAT))
        # A logger's filters do not get the records of child loggers.
        self._handler.addFilter(self._passes_level)
        logger.addHandler(self._handler)
        logger.addFilter(self)
        if logger.level == logging.NOTSET:
            logger.setLevel(_LOWEST_LEVEL)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record. Restore the logger if the process added handlers."""
        logger = self._logger
        if _active_handlers(logger) == [self._handler]:
            return self._passes_level(record)
        logger.removeHandler(self._handler)
        # Replace the list, because the logger is iterating over it: `removeFilter` would make the
        # logger skip the next filter.
        logger.filters = [each for each in logger.filters if each is not self]
        if logger.level == _LOWEST_LEVEL:
            logger.setLevel(logging.NOTSET)
        return record.levelno >= logger.getEffectiveLevel()

    def _passes_level(self, record: logging.LogRecord) -> bool:
        """Return whether a record has the level of ``DUB_LOG``, or the process has set a level."""
        return self._logger.level != _LOWEST_LEVEL or record.levelno >= self._level
