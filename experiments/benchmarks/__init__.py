"""Measurements of the program itself: speed, memory, size."""
