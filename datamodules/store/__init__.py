"""The frame store: every clip decoded once, at the working size, into a folder of its own on disk."""
