"""Structured logs: JSON lines for machines, readable lines on a terminal, secrets masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Protocol, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from warp_resources.masking import HIDDEN, is_secret_name, mask
from warp_resources.telemetry.sink import Sink


class LoggingSettings(Protocol):
    """The part of the configuration that logs need."""

    @property
    def level(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def sensitive_data_masking(self) -> bool: ...


def configure_logging(settings: LoggingSettings) -> None:
    """Send log events to standard error in the configured form."""
    is_terminal = sys.stderr.isatty()
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if settings.sensitive_data_masking:
        processors.append(_mask)
    if settings.format == "structured" and not is_terminal:
        processors.append(structlog.processors.JSONRenderer(default=str))
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=is_terminal))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Sink(sys.stderr))),
        cache_logger_on_first_use=False,
    )


def _mask(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: object, value: Any) -> Any:
    """A value of an event as it may be seen: also within containers, and what a renderer would make text of."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if is_secret_name(str(key)):
        return HIDDEN
    if isinstance(value, Mapping):
        return {inner: _masked(inner, its) for inner, its in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(key, its) for its in value]
    return mask(str(value))
