"""A trained run as one file: a graph for other programs, or a checkpoint that only predicts."""
