"""The venue's books: closings that pin the journal, their trial balances, and the proof of what customers are owed."""
