"""The fast engine: the same rules on flat buffers of integers, made to be compiled."""
