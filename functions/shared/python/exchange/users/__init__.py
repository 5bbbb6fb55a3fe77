"""Customers, their API keys, and who is asking: registration, sessions, signatures and access tokens."""
