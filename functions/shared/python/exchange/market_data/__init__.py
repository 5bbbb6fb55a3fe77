"""What the public may know of a market: its book, its trades and its ticker, folded from the executions stream."""
