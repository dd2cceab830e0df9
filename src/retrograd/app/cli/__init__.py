"""One file per verb; each is imported when its verb is called."""
