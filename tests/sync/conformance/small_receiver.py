"""A receiver in memory, written from docs/sync-contract.md alone, that can be made to break one clause."""

import asyncio
import contextlib
import gzip
import hashlib
import json
import socket
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

TOKEN = "the-token-of-conform-01"
KEYS = {"v", "gateway", "stream", "epoch", "first_seq", "count", "hash_before", "hash_after"}


class Held(NamedTuple):
    marks: list[int]
    """0, then the last number of each record."""
    hashes: dict[int, str]


class Refusal(Exception):
    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = JSONResponse({"error": error, "detail": "see the contract", **more}, status)


class SmallReceiver:
    """`mistake` names the clause to break, None for none."""

    def __init__(self, mistake: str | None = None) -> None:
        self._mistake = mistake
        self._streams: dict[tuple[str, str], Held] = {}
        self._newest: str | None = None
        self._rows: dict[tuple[str, int, int, str], tuple[int, int, int]] = {}
        self._extra = 0
        base = "/v1/gateways/{gateway}"
        self.app = Starlette(
            routes=[
                Route(f"{base}/streams/{{stream}}/batches", self._take, methods=["POST"]),
                Route(f"{base}/streams/{{stream}}", self._stand),
                Route(f"{base}/totals", self._totals),
            ]
        )

    async def _take(self, request: Request) -> JSONResponse:
        packed = await request.body()
        try:
            if self._mistake == "token-first":
                _unpack(packed, limited=True)
            self._admit(request)
            text = _unpack(packed, limited=self._mistake != "too-large")
            return JSONResponse({"acked_through": self._judge(request, text)})
        except Refusal as refusal:
            return refusal.answer

    def _judge(self, request: Request, text: bytes) -> int:
        header, bodies = _parse(text, strict=self._mistake != "malformed")
        if self._mistake != "malformed" and (header["gateway"], header["stream"]) != (
            request.path_params["gateway"],
            request.path_params["stream"],
        ):
            raise Refusal(400, "address")
        if header["count"] > 4096 and self._mistake != "too-large":
            raise Refusal(413, "too-large")
        first = header["first_seq"]
        hashes = {first - 1: header["hash_before"]}
        records = list(self._records(header, bodies, hashes))
        last = records[-1][0]
        held = self._held(header["epoch"])
        mark = held.marks[-1]
        if self._mistake == "chain-before-gap" and first > mark + 1:
            raise Refusal(409, "gap", expected=mark + 1)
        if hashes[last] != header["hash_after"] and self._mistake != "chain":
            raise Refusal(422, "chain")
        if first > mark + 1 and self._mistake != "gap":
            raise Refusal(409, "gap", expected=mark + 1)
        if self._mistake == "overlap" and first <= mark < last:
            raise Refusal(409, "gap", expected=mark + 1)
        if self._mistake == "same-again" and last <= mark:
            raise Refusal(409, "gap", expected=mark + 1)
        known = [seq for seq in hashes if seq <= mark and seq in held.hashes]
        if known and hashes[max(known)] != held.hashes[max(known)] and self._mistake != "fork":
            raise Refusal(409, "fork")
        for seq, body in records:
            if seq > mark:
                held.marks.append(seq)
                held.hashes[seq] = hashes[seq]
                self._store(header["epoch"], seq, json.loads(body))
            elif self._mistake == "totals":
                self._extra += 1
        return last + (self._mistake == "acknowledge")

    def _records(
        self, header: dict[str, Any], bodies: list[bytes], hashes: dict[int, str]
    ) -> Iterator[tuple[int, bytes]]:
        seq, h = header["first_seq"], header["hash_before"]
        for body in bodies:
            content = json.loads(body)
            if self._mistake == "byte-for-byte":
                body = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            if content["kind"] == "tombstone" and self._mistake != "tombstones":
                meta = content["meta"]
                sound = meta["hash_before"] == h or self._mistake == "tombstone-chain"
                seq, h = meta["last_seq"], meta["hash_after"] if sound else ""
            else:
                h = hashlib.sha256(bytes.fromhex(h) + seq.to_bytes(8, "big") + body).hexdigest() if h else ""
            hashes[seq] = h
            yield seq, body
            seq += 1

    def _store(self, epoch: str, seq: int, content: dict[str, Any]) -> None:
        first_row, kind = 0, content["kind"]
        if kind == "remainder" and self._mistake != "remainders":
            meta = content["meta"]
            kind, seq, first_row = meta["kind"], meta["of_seq"], meta["first_row"]
        columns = content.get("columns", {})
        if kind == "intervals":
            for row, energy_mWh in enumerate(columns["energy_mWh"], first_row):
                self._rows[epoch, seq, row, kind] = (energy_mWh or 0, 0, 1)
        elif kind == "entries":
            for row, emitted_ng in enumerate(columns["emitted_ng"], first_row):
                self._rows[epoch, seq, row, kind] = (0, int(emitted_ng), 0)

    def _held(self, epoch: str) -> Held:
        key = ("", "") if self._mistake == "epochs" else (epoch, "ledger")
        self._newest = epoch if key not in self._streams else self._newest
        return self._streams.setdefault(key, Held([0], {0: "0" * 64}))

    async def _stand(self, request: Request) -> JSONResponse:
        try:
            self._admit(request)
        except Refusal as refusal:
            return refusal.answer
        nothing = Held([0], {0: "0" * 64})
        held = nothing if self._newest is None else self._held(self._newest)
        return JSONResponse(
            {"epoch": self._newest, "acked_through": held.marks[-1], "hash": held.hashes[held.marks[-1]]},
            headers={"Accept-Encoding": "gzip, xz"} if self._mistake == "codings" else {},
        )

    async def _totals(self, request: Request) -> JSONResponse:
        energy_mWh, emitted_ng, rows = (sum(row[k] for row in self._rows.values()) for k in range(3))
        emitted = float(emitted_ng) if self._mistake == "exact" else str(emitted_ng)
        meter = {
            "device": "conform-meter",
            "energy_mWh": str(energy_mWh + self._extra),
            "emitted_ng": emitted,
            "rows": rows,
        }
        return JSONResponse({"registers": [meter]})

    def _admit(self, request: Request) -> None:
        good = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        if not (good and request.path_params["gateway"] == "conform-01") and self._mistake != "token":
            raise Refusal(401, "token")


def _unpack(packed: bytes, *, limited: bool) -> bytes:
    if not limited:
        return gzip.decompress(packed)
    if len(packed) > 1_048_576:
        raise Refusal(413, "too-large")
    inflater = zlib.decompressobj(31)
    try:
        text = inflater.decompress(packed, 4_194_305)
    except zlib.error:
        raise Refusal(400, "gzip") from None
    if len(text) > 4_194_304:
        raise Refusal(413, "too-large")
    if not inflater.eof or inflater.unused_data:
        raise Refusal(400, "gzip")
    return text


def _parse(text: bytes, *, strict: bool) -> tuple[dict[str, Any], list[bytes]]:
    try:
        head, *bodies = text.split(b"\n")
        header = json.loads(head)
        if not strict:
            return header, bodies[:-1]
        sound = (
            set(header) == KEYS
            and header["v"] == 1
            and type(header["count"]) is int
            and header["first_seq"] >= 1
            and header["epoch"] == header["epoch"].lower()
            and bodies.pop() == b""
            and len(bodies) == header["count"]
            and all("kind" in json.loads(body) for body in bodies)
        )
    except (ValueError, TypeError, KeyError):
        sound = False
    if not sound:
        raise Refusal(400, "malformed")
    return header, bodies


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The address of an application on a real socket."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        task = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
