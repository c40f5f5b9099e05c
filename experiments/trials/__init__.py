"""Trials: what one is, how it is made, and a sweep, which is a list of them."""
