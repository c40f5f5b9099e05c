"""Background plates: what a clip shows without its subject, and what they tell about each pixel (beyond the paper)."""
