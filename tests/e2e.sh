#!/bin/sh
# Runs the end-to-end tests (tests/e2e): golden scenarios and crashes, on the built programs and a real PostgreSQL. The
# same as `make test/e2e`; with arguments, these go to go test:
#   tests/e2e.sh -run TestScenarios/linear -v
set -eu
cd "$(dirname "$0")/.."
if [ $# = 0 ]; then
	exec make test/e2e E2E='-count=1 ./tests/e2e/...'
fi
scripts/install-postgres
exec scripts/with-postgres "${GO:-go}" test -race -count=1 -timeout 15m ./tests/e2e/... "$@"
