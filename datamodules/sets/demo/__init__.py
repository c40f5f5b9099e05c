"""The built-in footage: drawn figures in front of a drawn scene."""
