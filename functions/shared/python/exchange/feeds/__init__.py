"""The WebSocket: who listens to what, what they are told, and the way out to them."""
