"""Rule files: what they mean (`model`), how they are written (`schema`), and the way from one to the other (`load`, `build`)."""
