"""Transfers: money on its way in or out of the exchange, from the request to the posting."""
