"""Breaks: where two records of the same money differ, kept until somebody explains them."""
