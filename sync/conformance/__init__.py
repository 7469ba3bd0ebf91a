"""Whether a receiver keeps docs/sync-contract.md: asked from outside, clause by clause."""
