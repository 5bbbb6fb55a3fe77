"""Payments: asking a bank, believing only what it signed, and a sandbox bank that pays on a laptop."""
