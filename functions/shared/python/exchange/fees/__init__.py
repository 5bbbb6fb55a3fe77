"""What trading costs: maker and taker rates, and the rounding of a fee."""
