"""What goes from a run into a paper or onto the hub: tidy results, LaTeX tables, a model card, reporting checklists."""
