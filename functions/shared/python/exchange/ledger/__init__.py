"""Double entry: journal batches that sum to zero, chained by hash, and the balances they add up to."""
