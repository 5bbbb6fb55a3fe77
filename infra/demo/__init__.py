"""Order flow through the real REST API, as any customer's program would send it.

1. market.py      a product's increments: decimal text outside, whole ticks and lots inside
2. client.py      signed requests, retries that never double an order, and what an unknown outcome means
3. flow.py        a seeded generator with the habits of real flow
4. lobster.py     reads a NASDAQ day in LOBSTER's format;  nasdaq.py  turns it into orders
5. desk.py        sends what 3 or 4 decide, counting what came of it
6. accounting.py  money before and after, each balance explained by its fills;  report.py  prints it
"""
