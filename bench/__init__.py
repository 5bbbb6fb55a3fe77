"""What the exchange does a second and costs an order, measured on the laptop cloud: `python -m bench`.

1. laptop.py          a laptop cloud of the benchmark's own, and its customers
2. load.py            orders a second, and how long one takes to be accepted and to be settled
3. counting_cloud.py  the laptop cloud with a counter before it: every AWS request of every process goes through
4. costs.py           what one order asked of AWS, and what that costs at list price
5. market_data.py     how fast the market data are made anew from the log
6. document.py        docs/benchmarks.md
"""
