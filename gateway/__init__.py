"""The daemon and its command. `app` is the only place that builds; every other part is handed what it needs."""
