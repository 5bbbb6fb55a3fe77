"""Reports: files of a customer's own trades and balances, made in the background and fetched by a signed link."""
