package engine

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/seal"
)

// TestWorkspaceTokensThatAreNone has tokens that run out, or that something else was sealed in: no step is looked for.
func TestWorkspaceTokensThatAreNone(t *testing.T) {
	t.Parallel()
	e := &Engine{config: Config{Seal: seal.Generate()}} // without a store: it would panic
	token := func(place string, until time.Time) string {
		grant, err := json.Marshal(workspaceGrant{StepID: 1, Attempt: 1, Until: until.Unix()})
		require.NoError(t, err)
		sealed, err := e.config.Seal.Seal(grant, place)
		require.NoError(t, err)
		return WorkspaceTokenPrefix + base64.RawURLEncoding.EncodeToString(sealed)
	}
	for name, text := range map[string]string{
		"run out":        token(placeWorkspaceToken, time.Now().Add(-time.Second)),
		"something else": token(placeStepOutput, time.Now().Add(time.Hour)),
		"too short":      WorkspaceTokenPrefix + "AAAA",
	} {
		_, err := e.OpenWorkspaceToken(t.Context(), text)
		require.ErrorIs(t, err, ErrWorkspaceToken, name)
	}
}
