"""Wallets: what a customer owns of each asset, and deposits from the request to the posting."""
