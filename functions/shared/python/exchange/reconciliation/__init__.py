"""Reconciliation: the ledger against the engine's log, against itself, against chains and against banks, by asset."""
