"""The rules of the exchange, a package a concern. The map, in the order in which an order meets them:

 1. `users`            who is asking: registration, sessions, API keys, signatures and access tokens
 2. `usage`            how much they may ask: budgets that all functions share
 3. `trading`          order entry: from a customer's words to an order that is held, stored and on the stream
 4. `risk`             what an order may be before it may hold funds
 5. `orders`           what was asked, what has happened to it, and what it still holds
 6. `messages`         what travels on the two streams, to the matcher and from it
 7. `settlement`       the engine's events become journal, balances, fills and order states, exactly once
 8. `fees`             what trading costs
 9. `ledger`           double entry: journal batches that sum to zero, and the balances they add up to
10. `statements`       each account's own entries, numbered, with what they came to
11. `market_data`      books, trades, tickers and candles, folded from the same events
12. `feeds`            the WebSocket: who listens to what, and what they are told

Money comes and goes by

13. `wallets`          deposits, withdrawals and moves, from the request to the posting
14. `safeguards`       what judges a withdrawal in the write that holds its money: limits, lists, codes
15. `clearance`        what stands between the hold and whoever pays: screening, review, calling off
16. `transfers`        what those keep: money on its way in or out
17. `payments`         whoever pays and collects for us, behind one port; taking back what was credited
18. `stripe`           Stripe behind that port, by its own SDK
19. `banking`          the venue's banks: files, suspense, payouts; `iso20022` reads and writes the files
20. `chains`           addresses, what arrives at them, what leaves a hot wallet, and a chain that thinks again

Those who run it have

21. `admin`            operators, their roles, and what they do to customers
22. `approvals`        four eyes, and a row for every act
23. `books`            closings, balance sheets, and the signed proof of what customers are owed
24. `awards`           rebates and commissions out of a closed period's fees; `referrals` keeps who brought whom
25. `reports`          files of a customer's own trades and balances
26. `reconciliation`   the ledger against log, chain and banks; `breaks` keeps what differs
27. `audit`            every invariant, written once: `check(world)`

Below all of them stand `instruments` (assets and products), `rest` (the one shape of every API), `aws` (settings,
clients, the DynamoDB base) and `kernel` (identifiers, exact money, time, failures). Who may import whom is in
`.importlinter`.
"""
