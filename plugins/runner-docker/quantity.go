package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"github.com/docker/docker/api/types/container"
)

// resources are the limits of a container, as quantities of Kubernetes.
type resources struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

// The least limits that engines take.
const (
	minCPUs   = 0.01
	minMemory = 6 << 20
)

// limits returns the limits for the engine. There is no swap beyond the memory: a step that needs more is to end, and not to
// slow down the machine.
func (r *resources) limits() (container.Resources, error) {
	var limits container.Resources
	if r == nil {
		return limits, nil
	}
	if r.CPU != "" {
		cpus, err := quantity(r.CPU, cpuUnits)
		if err != nil || cpus <= 0 || cpus > 1<<20 {
			return limits, fmt.Errorf("resources.cpu %q has to be a number of CPUs such as 0.5, 2 or 500m", r.CPU)
		}
		if cpus < minCPUs {
			return limits, fmt.Errorf("resources.cpu %q is less than the 10m that the engine takes", r.CPU)
		}
		limits.NanoCPUs = int64(math.Round(cpus * 1e9))
	}
	if r.Memory != "" {
		bytes, err := quantity(r.Memory, memoryUnits)
		if err != nil || bytes < 1 || bytes > 1<<60 {
			return limits, fmt.Errorf("resources.memory %q has to be a size such as 512Mi, 2Gi or 512M", r.Memory)
		}
		if bytes < minMemory {
			return limits, fmt.Errorf("resources.memory %q is less than the 6Mi that a container needs", r.Memory)
		}
		limits.Memory = int64(bytes)
		limits.MemorySwap = limits.Memory
	}
	return limits, nil
}

var (
	cpuUnits    = map[string]float64{"": 1, "m": 1e-3}
	memoryUnits = map[string]float64{
		"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
	quantityText = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)$`)
)

func quantity(text string, units map[string]float64) (float64, error) {
	parts := quantityText.FindStringSubmatch(text)
	if parts == nil {
		return 0, strconv.ErrSyntax
	}
	unit, ok := units[parts[2]]
	if !ok {
		return 0, strconv.ErrSyntax
	}
	number, err := strconv.ParseFloat(parts[1], 64)
	return number * unit, err
}
