"""What a run leaves on disk: its folder, its events and its model; readable anywhere, trusted nowhere."""
