package workflow

import (
	"iter"
	"strings"

	"github.com/agnivade/levenshtein"
)

// DidYouMean proposes the candidate that is nearest to a name: "; did you mean 'build'?", or "" if none is near.
func DidYouMean(name string, candidates iter.Seq[string]) string {
	if len(name) > maxName {
		return ""
	}
	best, nearest := "", len(name)/3+2 // a third of the letters may be wrong, and one more
	for candidate := range candidates {
		if difference := len(candidate) - len(name); difference >= nearest || -difference >= nearest {
			continue
		}
		distance := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate))
		if distance >= max(len(name), len(candidate)) {
			continue // nothing in common
		}
		if distance < nearest || distance == nearest && candidate < best {
			best, nearest = candidate, distance
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean '" + best + "'?"
}
