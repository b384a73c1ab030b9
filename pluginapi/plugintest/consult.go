package plugintest

import (
	"context"
	"time"

	"github.com/stroem/stroem/pluginapi/hostapi"
)

// consultLimit is how long a consultation may take.
const consultLimit = 10 * time.Minute

// Consult starts a plugin, and ends it when use returns. It is not configured: Describe and Validate are all that can be asked.
func Consult(ctx context.Context, open Opener, use func(p *hostapi.Plugin)) error {
	_, err := perform(ctx, consultLimit, func(t TB) struct{} {
		use(hostapi.NewPlugin(open(t), "plugin"))
		return struct{}{}
	})
	return err
}
