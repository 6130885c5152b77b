"""Pictures, as PNG files: `figure` is what they share; each other file draws for one topic."""
