"""Safeguards: limits, cool-downs, listed destinations and second factors, judged in the write that holds the money."""
