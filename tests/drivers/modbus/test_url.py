import pytest

from drivers.modbus.errors import LinkUrlError
from drivers.modbus.open import open_link
from drivers.modbus.url import LinkAddress, LinkScheme, parse_link_url, parse_listen_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://192.168.1.20:1502", LinkAddress(scheme=LinkScheme.TCP, host="192.168.1.20", port=1502)),
        ("tcp://meter.local", LinkAddress(scheme=LinkScheme.TCP, host="meter.local", port=502)),
        ("tcp://127.0.0.1:0", LinkAddress(scheme=LinkScheme.TCP, host="127.0.0.1", port=0)),
        ("rtu+tcp://[fe80::1]:4001", LinkAddress(scheme=LinkScheme.RTU_OVER_TCP, host="fe80::1", port=4001)),
        ("rtu:///dev/ttyUSB0", LinkAddress(scheme=LinkScheme.RTU, path="/dev/ttyUSB0")),
        (
            "rtu:///dev/ttyUSB0?baud=19200&parity=e&stop=2",
            LinkAddress(scheme=LinkScheme.RTU, path="/dev/ttyUSB0", baud=19200, parity="E", stop=2),
        ),
        ("line:///tmp/bus?baud=2400", LinkAddress(scheme=LinkScheme.LINE, path="/tmp/bus", baud=2400)),
    ],
)
def test_addresses_are_understood_and_written_back(url, address):
    assert parse_listen_url(url) == address
    assert parse_listen_url(str(address)) == address


def test_a_masters_address_is_no_emulated_line():
    with pytest.raises(LinkUrlError, match=r"read it as rtu:///tmp/bus\?baud=2400&parity=E"):
        parse_link_url("line:///tmp/bus?baud=2400&parity=E")


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("192.168.1.20:502", "tcp://host:port"),
        ("http://192.168.1.20", "tcp://host:port"),
        ("tcp://", "host is missing"),
        ("tcp://host:99999", "0 to 65535"),
        ("tcp://meter..lan:502", "cannot be a host"),
        (f"tcp://{'m' * 64}.lan:502", "1 to 63 characters"),
        ("rtu+tcp://met er:502", "cannot be a host"),
        ("tcp://met\0er:502", "cannot be a host"),
        ("tcp://host:502/1", "nothing may follow"),
        ("tcp://host:502?unit=1", "nothing may follow"),
        ("rtu://dev/ttyUSB0", "three slashes"),
        ("rtu:///", "three slashes"),
        ("rtu:///dev/ttyUSB0?baud=9601", "baud is one of"),
        ("rtu:///dev/ttyUSB0?parity=X", "parity is"),
        ("rtu:///dev/ttyUSB0?stop=3", "stop is"),
        ("rtu:///dev/ttyUSB0?boud=9600", "not boud"),
        ("rtu:///dev/ttyUSB0?baud=9600&baud=9600", "each once"),
    ],
)
def test_a_wrong_address_is_named_with_what_is_wrong(url, part):
    with pytest.raises(LinkUrlError) as caught:
        parse_link_url(url)
    assert part in str(caught.value)
    assert repr(url) in str(caught.value)


def test_a_link_does_not_open_an_emulated_line_by_its_simulator_address():
    with pytest.raises(LinkUrlError, match="rtu:///tmp/bus"):
        open_link("bus", "line:///tmp/bus")
