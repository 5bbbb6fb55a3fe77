"""ISO 20022 as banks send it by file: a safe reader that holds each message to its structure, and what we write."""
