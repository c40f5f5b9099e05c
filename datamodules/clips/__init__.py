"""Clips: the record that every data set yields, and what is done to a list of them."""
