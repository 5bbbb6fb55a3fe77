"""Orders: what was asked, what has happened to it, and what it still holds."""
