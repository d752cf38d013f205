"""Tells which moments times without a zone may stand for, so that none is missed where clocks are put back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_FIRST = datetime.min.replace(tzinfo=UTC)


def earliest_moment(shown: datetime, zone: str) -> datetime:
    """The first moment, in UTC, that a time without a zone may stand for.

    A time is shown twice where clocks are put back, and never where they are put forward.
    """
    its = ZoneInfo(zone)
    return min(_moment(shown.replace(tzinfo=its, fold=fold)) for fold in (0, 1))


def shown_since(at: datetime, zone: str) -> datetime:
    """A time that no clock of the zone shows an earlier one than, from a moment on."""
    shown = _shown(at, zone)
    return _plain(shown) - _put_back(shown) if shown.fold == 0 else _plain(shown)


def shown_until(at: datetime, zone: str) -> datetime:
    """A time that all are before which clocks of the zone showed until a moment."""
    shown = _shown(at, zone)
    return _plain(shown) + _put_back(shown) if shown.fold == 1 else _plain(shown)


def _moment(shown: datetime) -> datetime:
    try:
        return shown.astimezone(UTC)
    except OverflowError:
        return _FIRST


def _shown(at: datetime, zone: str) -> datetime:
    its = ZoneInfo(zone)
    try:
        return at.astimezone(its)
    except OverflowError:
        edge = datetime.min if at.year < datetime.max.year else datetime.max
        return edge.replace(tzinfo=its)


def _plain(shown: datetime) -> datetime:
    return shown.replace(tzinfo=None, fold=0)


def _put_back(shown: datetime) -> timedelta:
    """By how much clocks were put back, of a time that is shown twice; else nothing."""
    first, second = (shown.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return max(first - second, timedelta())
