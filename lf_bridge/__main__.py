"""``python -m lf_bridge`` is ``lfb``."""

from lf_bridge.cli.main import main

if __name__ == "__main__":
    main()
