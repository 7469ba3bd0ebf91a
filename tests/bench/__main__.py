"""`python -m tests.bench`: what the core and the link cost, beside their peers in the same run."""

from tests.bench import carbon, counters, decode, exchange, ingest, punctuality, twins, upload

for part in (carbon, counters, decode, twins, exchange, punctuality, ingest, upload):
    part.run()
