"""The score of a trained run: calibrated without labels, on frames with its subject and frames without."""
