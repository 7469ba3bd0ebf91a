"""What shows that the ledger is right: entries computed again, and every amount traced to its evidence."""
