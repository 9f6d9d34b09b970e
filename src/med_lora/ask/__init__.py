"""Questions of a reader, answered by every arm side by side: in the terminal, or on a page of this machine."""
