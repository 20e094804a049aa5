"""One area: its rows, its columns, its file."""
