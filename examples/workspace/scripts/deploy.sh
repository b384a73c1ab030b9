#!/bin/sh
# Deploys an artifact; its inputs come as INPUT_ARTIFACT, INPUT_ENVIRONMENT and INPUT_DRY_RUN.
set -eu

echo "[$LOG_LEVEL] Deploying $INPUT_ARTIFACT to $INPUT_ENVIRONMENT"
if [ "$INPUT_DRY_RUN" = true ]; then
	echo "Dry run: nothing is changed"
	exit 0
fi
echo "Done"
