"""Stripe, by its own SDK: payments in, payouts, refunds, costs and events."""
