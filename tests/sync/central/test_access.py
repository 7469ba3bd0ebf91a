"""Who may deliver and read: by token, by tenant, until it is revoked."""

import httpx
import pytest

from sync.central import access
from sync.central.app import build
from sync.central.errors import CentralError
from sync.wire import encode_batch


@pytest.fixture
async def ask(store, make_batch, bodies):
    """Status of a request with somebody's token; `deliver` and paths of what is read."""
    intervals, entries = bodies
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(store)), base_url="http://central") as client:

        async def ask(token, gateway, path="", energy_mWh=None):
            headers = {"Authorization": f"Bearer {token}"}
            address = f"/v1/gateways/{gateway}{path}".rstrip("/")
            if energy_mWh is None:
                return await client.get(address, headers=headers)
            batch = make_batch([intervals(0, (0, energy_mWh)), entries(1, (0, 0, energy_mWh, None))], gateway=gateway)
            return await client.post(f"{address}/streams/ledger/batches", content=encode_batch(batch), headers=headers)

        ask.client = client
        yield ask


async def test_case_24_equal_names_on_two_sites_of_two_tenants_never_mix(store, ask):
    places = {
        "a-01": ("north", "yard"),
        "a-02": ("north", "yard"),
        "a-03": ("north", "roof"),
        "b-01": ("south", "yard"),
    }
    tokens = {name: await store.add(name, "gateway", *place) for name, place in places.items()}
    for number, (name, token) in enumerate(tokens.items(), 1):
        assert (await ask(token, name, energy_mWh=10**number)).status_code == 200
    readers = {tenant: await store.add(f"of-{tenant}", "reader", tenant) for tenant in ("north", "south")}
    readers[None] = await store.add("operator", "reader", None)

    for tenant, token in readers.items():
        for name, (owner, _) in places.items():
            allowed = tenant in (None, owner)
            for path in ("", "/totals", "/intervals", "/ledger", "/coverage", "/streams/ledger"):
                assert (await ask(token, name, path)).status_code == (200 if allowed else 401), (tenant, name, path)
            assert (await ask(token, name, energy_mWh=1)).status_code == 401  # readers never deliver
        listed = (await ask(token, "", "")).json()["gateways"]
        assert [g["gateway"] for g in listed] == [n for n, (owner, _) in places.items() if tenant in (None, owner)]

    for name, token in tokens.items():  # a gateway sees and feeds itself only
        for other in places:
            assert (await ask(token, other, "/totals")).status_code == (200 if other == name else 401)
            assert other == name or (await ask(token, other, energy_mWh=5)).status_code == 401
        assert [g["gateway"] for g in (await ask(token, "")).json()["gateways"]] == [name]

    def totals(answer):
        return [
            (r["gateway"], r["device"], r["energy_mWh"], r["emitted_ng"], r["rows"]) for r in answer.json()["registers"]
        ]

    async def site(tenant, name, token):
        headers = {"Authorization": f"Bearer {token}"}
        return await ask.client.get(f"/v1/tenants/{tenant}/sites/{name}/totals", headers=headers)

    yard = [("a-01", "pv", "10", "10", 1), ("a-02", "pv", "100", "100", 1)]
    assert totals(await site("north", "yard", readers["north"])) == yard
    assert totals(await site("north", "roof", readers[None])) == [("a-03", "pv", "1000", "1000", 1)]
    assert totals(await site("south", "yard", readers["south"])) == [("b-01", "pv", "10000", "10000", 1)]
    for tenant, name, token in (
        ("south", "yard", readers["north"]),
        ("north", "yard", tokens["a-01"]),
        ("north", "none", readers[None]),
    ):
        assert (await site(tenant, name, token)).status_code == 401


async def test_a_revoked_token_is_refused_at_once_and_what_it_brought_stays(store, ask):
    token = await store.add("a-01", "gateway", "north", "yard")
    reader = await store.add("operator", "reader", None)
    assert (await ask(token, "a-01", energy_mWh=7)).status_code == 200
    await store._ask(access.revoke, "a-01", "gateway")
    assert (await ask(token, "a-01", energy_mWh=7)).status_code == 401
    assert (await ask(token, "a-01", "/totals")).status_code == 401
    assert (await ask(reader, "a-01")).json()["state"] == "revoked"
    assert (await ask(reader, "a-01", "/totals")).json()["registers"][0]["energy_mWh"] == "7"
    anew = await store.add("a-01", "gateway", "north", "yard")
    assert anew != token
    assert (await ask(token, "a-01", energy_mWh=7)).status_code == 401
    assert (await ask(anew, "a-01", energy_mWh=7)).json() == {"acked_through": 2}


async def test_a_gateway_and_a_reader_may_have_one_name(store, ask):
    gateway = await store.add("north", "gateway", "north", "yard")
    reader = await store.add("north", "reader", "south")
    assert (await ask(gateway, "north", energy_mWh=7)).status_code == 200
    assert (await ask(reader, "north", "/totals")).status_code == 401


@pytest.mark.parametrize("name", ["", "a b", "呼", "a" * 65, "a/b"])
async def test_names_that_cannot_be(store, name):
    with pytest.raises(CentralError, match=r"is not possible: write letters, digits, dots, - and _, at most 64"):
        await store.add(name, "gateway", "north", "yard")
    with pytest.raises(CentralError, match="the tenant"):
        await store.add("a-01", "gateway", name, "yard")


async def test_tokens_are_kept_nowhere(store, held):
    token = await store.add("a-01", "gateway", "north", "yard")
    ((digest,),) = await store._ask(lambda db: db.execute("SELECT digest FROM access"))
    assert len(digest) == 32
    assert token.encode() not in bytes(digest)
