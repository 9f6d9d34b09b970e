"""Answers of language models: batches, the choice of the next token, and the loop that writes them."""
