"""Who brought whom: a customer's code, and which account's fees pay a commission to which other account."""
