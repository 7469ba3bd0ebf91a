"""The ledger as it lies in the store, read back: entries, rows in force, days, suspects."""
