"""The receiver's page: plain HTML, no script, which gateways deliver and how they stand."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<title>huxi central</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ padding: .3rem .8rem; border-bottom: 1px solid #ccc; text-align: left }}
.number {{ text-align: right; font-variant-numeric: tabular-nums }}
.bad {{ color: #b00020; font-weight: bold }}
</style>
</head>
<body>
<h1>huxi central</h1>
<table>
<thead>
<tr><th>Gateway</th><th>State</th><th>Stream</th><th>Held through</th><th>Last received (UTC)</th>
<th>Registers behind</th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def page(gateways: Iterable[Mapping[str, Any]]) -> str:
    """HTML for the list that `/v1/gateways` gives."""
    return _PAGE.format(rows="\n".join(row for gateway in gateways for row in _rows(gateway)))


def _rows(gateway: Mapping[str, Any]) -> Iterable[str]:
    name = escape(gateway["gateway"])
    if not gateway["streams"]:
        yield f"<tr><td>{name}</td><td>never heard of</td><td></td><td></td><td></td><td></td></tr>"
    late = escape(", ".join(f"{count} {state}" for state, count in sorted(gateway["late"].items())))
    for stream, at in gateway["streams"].items():
        state = f'<span class="bad">{escape(at["fork"])} ({_utc(at["fork_ms"])})</span>' if at["fork"] else "delivers"
        yield (
            f"<tr><td>{name}</td><td>{state}</td><td>{escape(stream)}</td>"
            f'<td class="number">{at["acked_through"]}</td><td>{_utc(at["received_ms"])}</td>'
            f"<td>{late if stream == 'ledger' else ''}</td></tr>"
        )


def _utc(t_ms: int) -> str:
    return datetime.fromtimestamp(t_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
