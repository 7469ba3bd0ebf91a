"""Live values for other programs on the site, by MQTT: what leaves here is news, never the ledger."""
