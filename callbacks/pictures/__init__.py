"""Pictures of frames and of what was found in them: drawn, laid out as sheets, written, and sent to W&B."""
