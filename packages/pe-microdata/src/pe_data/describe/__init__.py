"""What a data file holds, read from the file itself."""
