"""Language models asked by chat: a client for OpenAI-compatible servers, a local model, and a cache of their calls."""
