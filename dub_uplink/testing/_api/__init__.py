"""The customers API of the fake: routes, checks, storage. Independent of transports and faults."""
