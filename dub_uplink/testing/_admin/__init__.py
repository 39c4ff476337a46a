"""The admin API of a served fake: its state, faults, clock and settings over HTTP, and a page."""
