package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is one line of the report.
type result struct {
	ID       string             `json:"id"`
	What     string             `json:"what"`
	Baseline string             `json:"baseline"`
	Measured string             `json:"measured"`
	Target   string             `json:"target"`
	Met      bool               `json:"met"`
	Figures  map[string]float64 `json:"figures"`
}

type report struct{ results []result }

func (r *report) add(x result) {
	r.results = append(r.results, x)
	fmt.Fprintf(os.Stderr, "  %s: %s; baseline %s; target %s; met: %t\n", x.ID, x.Measured, x.Baseline, x.Target, x.Met)
}

func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	data, err := json.MarshalIndent(map[string]any{
		"date": time.Now().UTC().Format(time.RFC3339), "cpus": runtime.NumCPU(), "go": runtime.Version(), "results": r.results,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	var text strings.Builder
	text.WriteString("| # | work | baseline | measured | target | met |\n|---|---|---|---|---|---|\n")
	for _, x := range r.results {
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s |\n", x.ID, x.What, x.Baseline, x.Measured, x.Target, map[bool]string{true: "yes", false: "no"}[x.Met])
	}
	if err := os.WriteFile(filepath.Join(dir, "results.md"), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	fmt.Print(text.String())
	return nil
}

// quantile returns the q-th part of durations, in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	i := min(int(math.Ceil(q*float64(len(sorted))))-1, len(sorted)-1)
	return float64(sorted[max(i, 0)].Microseconds()) / 1000
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
