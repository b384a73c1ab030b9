#!/bin/sh
# Runs the golden scenarios (tests/e2e) on the built programs and a real PostgreSQL. Arguments go to go test:
#   tests/e2e.sh -run TestScenarios/linear -v
set -eu
cd "$(dirname "$0")/.."
scripts/install-postgres
exec scripts/with-postgres ${GO:-go} test -race -count=1 -timeout 15m ./tests/e2e/... "$@"
