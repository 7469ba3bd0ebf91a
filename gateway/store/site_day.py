"""Days of a site: from its time zone's midnight to the next."""

from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()


def day_of(t_ms: int, zone: ZoneInfo) -> date:
    """The site's date at a time."""
    return datetime.fromtimestamp(t_ms // 1000, UTC).astimezone(zone).date()


def end_ms(day: date, zone: ZoneInfo) -> int:
    """When the site's day is over."""
    return int(datetime.combine(day, time(23, 59, 59), zone).timestamp()) * 1000 + 1000


def around(first: date, last: date) -> tuple[int, int]:
    """A span of time that holds the days from first to last in every time zone."""
    return (first.toordinal() - _EPOCH - 1) * _DAY_MS, (last.toordinal() - _EPOCH + 2) * _DAY_MS
