"""Operators: who they are, what each role may do, and what they do to customers."""
