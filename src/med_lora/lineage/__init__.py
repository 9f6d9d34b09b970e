"""The lineage of an experiment on pages that ask no other machine: shown by kedro-viz, or built as a static site."""
