#!/bin/sh
# The browser that tests/unit/report/test_browser.py drives: Debian's chromium, as root.
set -eu
apt-get update
apt-get install -y --no-install-recommends chromium
chromium --version
