"""The studio: a page on this machine where runs are made, watched, taken apart and repaired."""
