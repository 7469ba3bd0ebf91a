"""Signed time over real TLS: believed by its signature alone, whatever the dates of the certificate."""

import subprocess
import time

import pytest

from sync.central.app import build
from sync.central.store import CentralStore
from sync.errors import BadAnswer, SyncError
from sync.signed_time import sign, statement, verify
from sync.transports.client import Client, Way
from sync.transports.receiver_time import ask
from tests.sync.conformance.small_receiver import serving
from tests.sync.transports.authority import Authority
from tests.sync.transports.test_tls import TlsReceiver


def key_pair(folder, name):
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    for command in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", private],
        ["openssl", "pkey", "-in", private, "-pubout", "-out", public],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return key_pair(tmp_path_factory.mktemp("keys"), "time")


@pytest.fixture
async def receiver(tmp_path, keys):
    """Address of our receiver with a time key, without TLS."""
    async with (
        CentralStore.open(tmp_path / "central.db") as store,
        serving(build(store, keys[0])) as url,
    ):
        yield url


async def test_the_time_comes_signed_and_dated_by_our_own_monotonic_clock(receiver, keys):
    before_ms, begin_ns = time.time_ns() // 1_000_000, time.monotonic_ns()
    found = await ask(Way(url=receiver), keys[1])
    assert before_ms <= found.unix_ms <= time.time_ns() // 1_000_000
    assert begin_ns < found.mono_ns < time.monotonic_ns()
    assert 1 <= found.within_ms < 5000


async def test_another_key_is_not_believed(receiver, tmp_path):
    _, stranger = key_pair(tmp_path, "stranger")
    with pytest.raises(BadAnswer, match="not signed by the key in"):
        await ask(Way(url=receiver), stranger)


async def test_a_replayed_answer_is_not_believed(keys):
    private, public = keys
    signature = await sign(private, statement("0" * 32, 1000))
    assert await verify(public, statement("0" * 32, 1000), signature)
    assert not await verify(public, statement("1" * 32, 1000), signature), "another question"
    assert not await verify(public, statement("0" * 32, 1001), signature), "another time"
    assert not await verify(public, statement("0" * 32, 1000), bytes(64))


async def test_a_receiver_without_key_says_so(tmp_path, keys):
    async with (
        CentralStore.open(tmp_path / "central.db") as store,
        serving(build(store)) as url,
    ):
        with pytest.raises(BadAnswer, match=r"tells no signed time \(404\)"):
            await ask(Way(url=url), keys[1])


async def test_a_key_of_no_use_names_the_remedy(tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(SyncError, match="openssl genpkey"):
        await sign(tmp_path / "key.pem", b"text")


@pytest.mark.parametrize(("checks_dates", "error"), [(True, "has expired"), (False, None)])
async def test_dates_of_the_certificate_are_left_out_here_and_only_here(tmp_path, checks_dates, error):
    authority = Authority(tmp_path)
    way = {"ca_file": authority.file}
    async with TlsReceiver(authority.certificate("late", days=-1)).running() as url:
        client = Client(Way(url=url, **way), {}, checks_dates=checks_dates)
        if error:
            with pytest.raises(BadAnswer, match=error):
                await client.exchange("GET", "/v1/time")
        else:
            assert (await client.exchange("GET", "/v1/time")).status == 200
        await client.aclose()


async def test_the_name_and_the_authority_are_checked_all_the_same(tmp_path):
    authority = Authority(tmp_path)
    stranger = Authority(tmp_path, "stranger")
    for pem, way, says in (
        (authority.certificate("late", address="DNS:other.example", days=-1), authority.file, "for another name"),
        (stranger.certificate("unknown", days=-1), authority.file, "signed by nobody known"),
    ):
        async with TlsReceiver(pem).running() as url:
            client = Client(Way(url=url, ca_file=way), {}, checks_dates=False)
            with pytest.raises(BadAnswer, match=says):
                await client.exchange("GET", "/v1/time")
            await client.aclose()
