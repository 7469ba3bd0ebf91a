"""The parameters of the API's operations, with their bounds."""

from pydantic import Field, ValidationInfo, field_validator

from gateway.store.series.chart import LONGEST_MS
from gateway.web.operation import Query


class DeviceQuery(Query):
    """Which device."""

    device: str = Field(min_length=1, max_length=64, description="name of a device, as in /api/v1/devices")


class HistoryQuery(DeviceQuery):
    """Which device, and how far back."""

    minutes: int = Field(60, ge=1, le=60, description="minutes of history: 1 to 60")


class ChartQuery(Query):
    """Which point, and which stretch of time."""

    device: str = Field(min_length=1, max_length=64, description="name of a device, as in /api/v1/devices")
    point: str | None = Field(
        None, min_length=1, max_length=64, description="name of a point of it; its power when left out"
    )
    from_ms: int = Field(ge=0, lt=2**53, description="begin, milliseconds since 1970-01-01 UTC")
    to_ms: int = Field(ge=0, lt=2**53, description=f"end: after the begin, by at most {LONGEST_MS} ms (93 days)")

    @field_validator("to_ms")
    @classmethod
    def _is_a_stretch(cls, to_ms: int, info: ValidationInfo) -> int:
        if not 0 < to_ms - info.data.get("from_ms", to_ms - 1) <= LONGEST_MS:
            raise ValueError("no such stretch")
        return to_ms
