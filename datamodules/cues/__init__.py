"""Training targets without labels: what moves otherwise than the camera, and what looks like it, cut out of a clip."""
