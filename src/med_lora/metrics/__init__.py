"""What a score is: every metric of the comparison, by family, each with the signature a paper would state."""
