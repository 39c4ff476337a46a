"""Run the ``dub-uplink`` command as ``python -m dub_uplink``."""

from __future__ import annotations

from dub_uplink._cli import main

if __name__ == "__main__":
    main()
