"""The laptop cloud's parts, without starting it."""
