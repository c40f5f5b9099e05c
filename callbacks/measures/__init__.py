"""Measures of masks and boxes as pure functions; the shells that keep their sums are in callbacks/scores."""
