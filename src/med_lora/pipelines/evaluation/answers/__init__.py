"""What the arms answer: generated in this process, or asked of a server."""
