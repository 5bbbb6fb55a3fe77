"""Pre-trade checks: what an order may be before it may hold funds."""
