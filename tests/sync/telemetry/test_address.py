"""Addresses of brokers and names as levels of topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.telemetry.address import BrokerAddress, level, parse_broker_url, topic_prefix


def test_addresses_with_and_without_a_port() -> None:
    assert parse_broker_url("mqtt://broker.lan") == BrokerAddress(host="broker.lan", port=1883, tls=False)
    assert parse_broker_url("mqtts://broker.lan") == BrokerAddress(host="broker.lan", port=8883, tls=True)
    assert parse_broker_url("mqtt://[::1]:1884/") == BrokerAddress(host="::1", port=1884, tls=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker.lan",
        "http://broker.lan",
        "mqtt://",
        "mqtt://broker.lan:0",
        "mqtt://broker.lan:99999",
        "mqtt://me:secret@broker.lan",
        "mqtt://broker.lan/topic",
        "mqtt://broker lan",
        "mqtt://broker.lan\n",
        f"mqtt://{'a' * 70}.lan",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="mqtt://host:1883"):
        parse_broker_url(url)


@pytest.mark.parametrize("prefix", ["", "/huxi", "huxi/", "a//b", "a/+/b", "a/#", "$SYS/huxi", "a\x85b", "x" * 201])
def test_what_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        topic_prefix(prefix)


@given(st.text(), st.text())
def test_names_become_levels_that_a_broker_takes_and_stay_apart(one: str, other: str) -> None:
    assert (level(one) == level(other)) == (one == other)
    assert not set(level(one)) & set("+#/\0")
    assert level(one).isprintable()


def test_names_stay_readable() -> None:
    assert level("屋顶 光伏-1") == "屋顶 光伏-1"
    assert level("50% #2") == "50%25 %232"
