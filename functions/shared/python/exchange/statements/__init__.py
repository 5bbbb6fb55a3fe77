"""Statements: a balance's own entries in a numbered row, with what it came to after each. Made from the journal."""
