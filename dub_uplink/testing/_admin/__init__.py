"""The admin API and admin page of a served fake: state, faults, clock and settings over HTTP."""
