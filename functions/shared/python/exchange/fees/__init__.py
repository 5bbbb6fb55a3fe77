"""What trading costs: rates by volume, product and season, and what an account traded."""
