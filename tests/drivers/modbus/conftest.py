"""Fixtures: virtual time, and a transport whose other end is written in the test."""

import pytest

from tests.virtual_bus import FakeTransport, run_in_virtual_time


@pytest.fixture
def fake_transport():
    return FakeTransport


@pytest.fixture
def run_virtual():
    """Run a coroutine in virtual time; its `asyncio.get_running_loop().time()` starts at 1000."""
    return run_in_virtual_time
