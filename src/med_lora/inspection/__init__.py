"""What the notebooks show of a finished run: tables and figures of counts and scores, and texts only on request."""
