"""The whole store walked from first to last record: hashes, rows, sums."""
