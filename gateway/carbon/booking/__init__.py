"""From intervals to entries in the ledger: rules, lenses, contracts, corrections, restatements."""
