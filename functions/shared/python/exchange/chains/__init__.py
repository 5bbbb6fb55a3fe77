"""Chains: addresses that are ours, what arrives at them, and what becomes of it when a chain thinks again."""
