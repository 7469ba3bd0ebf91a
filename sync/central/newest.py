"""The newest live values of each gateway: in memory only, for the eye, never in a sum."""

import time
from typing import Any

import orjson

from sync.errors import Malformed
from sync.wire import inflate


class Newest:
    """What gateways showed last."""

    def __init__(self) -> None:
        self._by_gateway: dict[str, dict[str, Any]] = {}

    def show(self, gateway: str, packed: bytes) -> None:
        """Keeps the JSON object in `packed` (gzip) in the place of the last one. Raises TooLarge or Malformed."""
        try:
            values = orjson.loads(inflate(packed))
        except orjson.JSONDecodeError:
            raise Malformed("live values must be a JSON object") from None
        if not isinstance(values, dict) or values.get("live") is not True:
            raise Malformed('live values must be a JSON object with "live": true')
        self._by_gateway[gateway] = values | {"received_ms": time.time_ns() // 1_000_000}

    def of(self, gateway: str) -> dict[str, Any] | None:
        """The newest values, with `received_ms`; None when there are none."""
        return self._by_gateway.get(gateway)
