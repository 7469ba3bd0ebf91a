"""What every check needs: fresh epochs, sound batches and broken ones, and what the receiver says to them."""

import json
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sync.messages import GENESIS, Batch, Record, Tombstone, chain
from sync.set_aside import QUARANTINED, stone
from sync.transports.client import Answer, Client
from sync.wire import encode_batch, gzipped

STREAM: Final = "ledger"


class Wrong(Exception):
    """The receiver did something else than the contract says; the text tells what."""


class Stream:
    """One stream of a new epoch, as a gateway would keep it."""

    def __init__(self, client: Client, gateway: str, token: str) -> None:
        self.client = client
        self.gateway = gateway
        self.epoch = secrets.token_hex(8)
        self._token = token
        self._records: list[Record] = []
        self._hashes = [GENESIS]

    def add(self, *bodies: bytes) -> None:
        """More records."""
        for body in bodies:
            seq = len(self._records) + 1
            record = Record(stream=STREAM, seq=seq, kind=json.loads(body)["kind"], body=body)
            self._records.append(record)
            self._hashes.append(chain(self._hashes[-1], seq, body))

    def fill(self, count: int, mark: str = "") -> "Stream":
        """`count` records of a kind that no receiver knows; a `mark` makes their content another."""
        self.add(*(b'{"kind":"conform","n":"%d%s"}' % (n, mark.encode()) for n in range(count)))
        return self

    def batch(self, first: int, last: int) -> Batch:
        """Records `first` to `last`."""
        return self._of(first, last, self._records[first - 1 : last])

    def with_tombstone(self, first: int, last: int, gone: tuple[int, int]) -> Batch:
        """Records `first` to `last`, a tombstone in the place of those from `gone[0]` to `gone[1]`."""
        begin, end = gone
        span = Tombstone(first_seq=begin, hash_before=self._hashes[begin - 1], hash_after=self._hashes[end])
        found = stone(STREAM, end, span, reason=QUARANTINED, detail="conformance check", sums=[])
        kept = [record for record in self._records[first - 1 : last] if not begin <= record.seq <= end]
        return self._of(first, last, sorted([*kept, found], key=lambda record: record.seq))

    def hash_hex(self, seq: int) -> str:
        """Chain hash after a record."""
        return self._hashes[seq].hex()

    def _of(self, first: int, last: int, records: Sequence[Record]) -> Batch:
        return Batch(
            gateway=self.gateway,
            epoch=self.epoch,
            stream=STREAM,
            first_seq=first,
            hash_before=self._hashes[first - 1],
            hash_after=self._hashes[last],
            records=tuple(records),
        )

    async def post(
        self, batch: Batch | bytes, *, token: str | None = None, gateway: str | None = None, coding: str = "gzip"
    ) -> Answer:
        """The answer to a batch, or to bytes that are none."""
        content = batch if isinstance(batch, bytes) else encode_batch(batch)
        headers = {"Content-Type": "application/jsonl", "Content-Encoding": coding, **self._authorization(token)}
        path = f"/v1/gateways/{gateway or self.gateway}/streams/{STREAM}/batches"
        return await self.client.exchange("POST", path, content, headers)

    async def get(self, path: str, *, token: str | None = None) -> Answer:
        """The answer to a question about this gateway."""
        return await self.client.exchange(
            "GET", f"/v1/gateways/{self.gateway}/{path}", headers=self._authorization(token)
        )

    async def acked(self, batch: Batch) -> None:
        """Raises Wrong unless the batch is acknowledged to its last number; in parts, when the receiver likes."""
        answer = await self.post(batch)
        expect(answer, 200)
        mark = answer.json.get("acked_through")
        ends = [record.seq for record in batch.records]
        if mark not in ends:
            raise Wrong(f"acked_through is {mark!r}, and the batch goes from {batch.first_seq} to {batch.last_seq}")
        if mark != batch.last_seq:
            rest = batch.records[ends.index(mark) + 1 :]
            await self.acked(replace(batch, first_seq=mark + 1, hash_before=self._hashes[mark], records=rest))

    async def stands_at(self, seq: int) -> None:
        """Raises Wrong unless the receiver says that it holds this stream through `seq`, with the right hash."""
        answer = await self.get(f"streams/{STREAM}")
        expect(answer, 200)
        expected = {"epoch": self.epoch, "acked_through": seq, "hash": self.hash_hex(seq)}
        if {key: answer.json.get(key) for key in expected} != expected:
            raise Wrong(f"it says that it stands at {dict(answer.json)}, not at {expected}")

    def _authorization(self, token: str | None) -> dict[str, str]:
        found = self._token if token is None else token
        return {"Authorization": f"Bearer {found}"} if found else {}


def expect(answer: Answer, status: int, error: str | None = None) -> None:
    """Raises Wrong unless the answer has this status, and this word in `error`; errors need both words."""
    if answer.status != status:
        raise Wrong(f"it answers {answer.status} {answer.json.get('error', '')}, not {status}".replace("  ", " "))
    if status != 200 and not (isinstance(answer.json.get("error"), str) and isinstance(answer.json.get("detail"), str)):
        raise Wrong(f'its answer {status} does not carry "error" and "detail" as JSON texts')
    if error is not None and answer.json.get("error") != error:
        raise Wrong(f'it says "error": {answer.json.get("error")!r}, not {error!r}')


def repacked(batch: Batch, **header: Any) -> bytes:
    """The batch with other values in its header."""
    text = unpacked(batch)
    head, _, rest = text.partition(b"\n")
    changed = json.loads(head) | header
    return gzipped(json.dumps(changed, sort_keys=True, separators=(",", ":")).encode() + b"\n" + rest)


def unpacked(batch: Batch) -> bytes:
    """The text of a batch."""
    return zlib.decompress(encode_batch(batch), 31)


def broken(batch: Batch) -> Batch:
    """The batch with a chain that does not fit its records."""
    return replace(batch, hash_after=bytes(31) + b"\1")
