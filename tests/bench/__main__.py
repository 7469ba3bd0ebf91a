"""`python -m tests.bench`: what the core and the link cost, beside their peers in the same run."""

from tests.bench import carbon, counters, dead_unit, decode, exchange, punctuality, twins

for part in (carbon, counters, decode, twins, exchange, punctuality, dead_unit):
    part.run()
