"""Transports: ways to bring one batch to the receiver and its answer back."""
