"""``python -m dub_uplink`` is the ``dub-uplink`` command."""

from __future__ import annotations

from dub_uplink._cli import main

if __name__ == "__main__":
    main()
