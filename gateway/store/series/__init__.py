"""Measured values over time, for people to look at: rollups by the minute and quarter of an hour, and raw series."""
