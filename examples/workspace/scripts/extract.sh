#!/bin/sh
# Counts and sums the orders of a CSV file with a header; the amount is the third column.
set -eu

awk -F, 'NR > 1 { orders++; total += $3 } END { printf "OUTPUT: {\"orders\": %d, \"total\": %d}\n", orders, total }' "$INPUT_FILE"
