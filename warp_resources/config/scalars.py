"""The checked scalar types that configuration models are made of."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

# What Dagster accepts as an owner.
_OWNER = re.compile(r"team:.+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")
_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "a number is allowed")
    return value


def _known_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        text = "a time zone of the IANA database, such as UTC or Europe/Berlin, is allowed"
        raise PydanticCustomError("timezone", text, {"known": timezones()}) from None
    return value


def timezones() -> list[str]:
    """The time zones that this machine knows."""
    return sorted(available_timezones())


def _fires(expression: str) -> bool:
    """Whether Dagster can run it: five fields or a name like @daily, not at random (R), and not never."""
    is_plain = expression.startswith("@") or len(expression.split()) == 5
    if not is_plain or not croniter.is_valid(expression) or re.search(r"(?i)\br\b", expression):
        return False
    try:
        croniter(expression, datetime(2024, 1, 1)).get_next()
    except CroniterBadDateError:
        return False
    return True


def _cron(value: str) -> str:
    if not _fires(value):
        raise PydanticCustomError("cron", 'a cron expression of five fields is allowed, such as "*/15 * * * *"')
    return value


def _owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise PydanticCustomError("owner", "an e-mail address or team:<name> is allowed")
    return value


def _object_path(value: str) -> str:
    if not _OBJECT.fullmatch(value):
        raise PydanticCustomError("object", "a Python object as module:name is allowed")
    return value


def _one_is_a_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise PydanticCustomError("distinct", "each name is allowed once")
    return value


Count = Annotated[int, BeforeValidator(_refuse_bool), Field(gt=0)]
WholeNumber = Annotated[int, BeforeValidator(_refuse_bool), Field(ge=0)]
Number = Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_is_a_list)]
KeyColumns = Annotated[
    tuple[Name, ...], BeforeValidator(_one_is_a_list), Field(min_length=1), AfterValidator(_distinct)
]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
Cron = Annotated[str, AfterValidator(_cron)]
Owner = Annotated[str, AfterValidator(_owner)]
ObjectPath = Annotated[str, AfterValidator(_object_path)]
