"""Emission factors: immutable records, read from files and looked up as they were known at a time."""
