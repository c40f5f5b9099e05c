"""A local page on which a model is tried."""
