"""The customers API of the fake: endpoints, checks and storage, without transport and faults."""
