"""Structured logs: JSON lines for machines, readable lines on a terminal, secrets masked."""

from __future__ import annotations

import logging
import re
import sys
from typing import Protocol

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_URI_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^:/?#@\s]*:)[^@/\s]+(?=@)", re.IGNORECASE)
_KEY_VALUE = re.compile(r"(?P<head>\b(?:password|passwd|pwd|secret|token)\s*=\s*)[^\s,&]+", re.IGNORECASE)


class LoggingSettings(Protocol):
    """The part of the configuration that logs need."""

    @property
    def level(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def sensitive_data_masking(self) -> bool: ...


def mask_secrets(text: str) -> str:
    """A text with the passwords of its URIs and key-value pairs replaced by ``***``."""
    return _KEY_VALUE.sub(r"\g<head>***", _URI_PASSWORD.sub(r"\g<head>***", text))


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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _mask(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {key: mask_secrets(value) if isinstance(value, str) else value for key, value in event.items()}
