#!/bin/sh
set -eu
lines=$(($(wc -l <data/numbers.txt)))
echo "$TITLE: $lines lines in data/numbers.txt"
echo "OUTPUT: {\"lines\": $lines}"
