package template

import (
	"fmt"

	"github.com/stroem/stroem/core/vals"
)

// resolveVals replaces a reference (ref+vault://…) by what the program vals on PATH makes of it. Everything else stays
// as it is.
func resolveVals(r *rendering, in, _ any) (any, error) {
	ref, ok := in.(string)
	if !ok || !vals.IsReference(ref) {
		return in, nil
	}
	if r.vals++; r.vals > MaxVals {
		return nil, fmt.Errorf("is used more than %d times", MaxVals)
	}
	resolved, err := vals.Resolve(r.ctx, map[string]string{"_v": ref})
	if err != nil {
		return nil, err
	}
	return r.plain(resolved["_v"])
}
