"""Passages found for a question: by an encoder, by words (BM25), or by both."""
