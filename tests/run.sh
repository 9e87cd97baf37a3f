#!/bin/sh
# Everything that must hold: installs what is missing, then format, lints and all tests.
exec "$(dirname "$0")/../run.sh" test
