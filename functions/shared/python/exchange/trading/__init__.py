"""Order entry: from a customer's words to an order that is held, stored and on the stream."""
