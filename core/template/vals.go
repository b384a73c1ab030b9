package template

import (
	"context"
	"fmt"

	"github.com/stroem/stroem/core/vals"
)

type collectKey struct{}

// Collect returns a context in which renderings note what the filter vals brings, for it is secret wherever it ends up. found
// lists that, also after a rendering that failed. The renderings must not be concurrent.
func Collect(ctx context.Context) (_ context.Context, found func() []any) {
	list := new([]any)
	return context.WithValue(ctx, collectKey{}, list), func() []any { return *list }
}

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
	if list, collecting := r.ctx.Value(collectKey{}).(*[]any); collecting {
		*list = append(*list, resolved["_v"])
	}
	return r.plain(resolved["_v"])
}
