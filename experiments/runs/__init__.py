"""A run: its folder, its configuration, its stages, and bringing it back."""
