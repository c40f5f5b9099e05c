"""Applying a trained run to footage without labels."""
