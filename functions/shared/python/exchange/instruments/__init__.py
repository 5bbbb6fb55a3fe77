"""What can be traded: assets with their units, and products with their ticks and lots."""
