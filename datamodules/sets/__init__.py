"""The layout of each data set on disk."""
