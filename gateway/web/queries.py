"""The parameters of the API's operations, with their bounds."""

from pydantic import Field

from gateway.web.operation import Query


class DeviceQuery(Query):
    """Which device."""

    device: str = Field(min_length=1, max_length=64, description="name of a device, as in /api/v1/devices")


class HistoryQuery(DeviceQuery):
    """Which device, and how far back."""

    minutes: int = Field(60, ge=1, le=60, description="minutes of history: 1 to 60")
