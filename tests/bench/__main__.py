"""`python -m tests.bench`: what the core, the link and the store cost, beside their peers in the same run."""

from tests.bench import carbon, counters, dead_unit, decode, exchange, ingest, punctuality, series, twins, upload, wear

for part in (carbon, counters, decode, twins, exchange, punctuality, dead_unit, series, wear, ingest, upload):
    part.run()
