"""How much callers ask of the exchange: budgets that many functions share, and when a key was last used."""
