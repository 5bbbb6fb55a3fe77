"""The venue's banks: files out and in, what is matched or waits in suspense, and payouts."""
