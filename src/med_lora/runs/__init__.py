"""What a run writes about itself, and what is done with runs afterwards."""
