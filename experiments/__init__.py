"""Experiments: the command line, the configs, and what a run folder holds."""
