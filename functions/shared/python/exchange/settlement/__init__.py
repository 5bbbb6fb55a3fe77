"""Post-trade: the engine's events become journal, balances, fills and order states, exactly once."""
