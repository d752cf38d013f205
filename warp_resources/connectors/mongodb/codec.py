"""How the driver reads BSON for us."""

from __future__ import annotations

from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion

# Dates outside the years 1 to 9999 become DatetimeMS instead of an error.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
