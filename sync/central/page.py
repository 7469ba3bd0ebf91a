"""The receiver's page: plain HTML, no script, which gateways deliver and how they stand."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

_BAD = {"fork", "refused", "silent"}
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
<tr><th>Tenant</th><th>Site</th><th>Gateway</th><th>State</th>
<th>Stream</th><th>Held through</th><th>Last received (UTC)</th><th>Registers behind</th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
{more}
</body>
</html>
"""


def page(listing: Mapping[str, Any]) -> str:
    """HTML for the list that `/v1/gateways` gives."""
    more = f'<p><a href="/?after={listing["after"]}">More gateways</a></p>' if listing["after"] else ""
    return _PAGE.format(rows="\n".join(row for gateway in listing["gateways"] for row in _rows(gateway)), more=more)


def _rows(gateway: Mapping[str, Any]) -> Iterable[str]:
    names = "".join(f"<td>{escape(gateway[key])}</td>" for key in ("tenant", "site", "gateway"))
    mark = ' class="bad"' if gateway["state"] in _BAD else ""
    state = f'<td><span{mark} title="{escape(gateway["detail"])}">{gateway["state"]}</span>'
    if gateway["state"] in _BAD:
        state += f"<br>{escape(gateway['detail'])}"
    state += "</td>"
    if not gateway["streams"]:
        yield f"<tr>{names}{state}<td></td><td></td><td></td><td></td></tr>"
    late = escape(", ".join(f"{count} {word}" for word, count in gateway["late"].items()))
    for stream, at in gateway["streams"].items():
        received = "" if at["received_ms"] is None else _utc(at["received_ms"])
        yield (
            f'<tr>{names}{state}<td>{escape(stream)}</td><td class="number">{at["acked_through"]}</td>'
            f"<td>{received}</td><td>{late if stream == 'ledger' else ''}</td></tr>"
        )


def _utc(t_ms: int) -> str:
    return datetime.fromtimestamp(t_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
