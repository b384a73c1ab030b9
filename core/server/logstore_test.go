package server_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	apiv1 "github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/tests/s3server"
)

func logStore(t *testing.T, c *assert.CollectT, api *api) apiv1.Plugin {
	t.Helper()
	list, err := api.Plugins(t.Context())
	if assert.NoError(c, err) && assert.Len(c, list, 1) {
		return list[0].Plugin
	}
	return apiv1.Plugin{}
}

// TestArchiveIsStarted has the section start the plugin, with the server's own credentials unless there are others for it, and the
// plugin find its bucket.
func TestArchiveIsStarted(t *testing.T) {
	t.Parallel()
	bucket := s3server.Start(t, s3server.Options{TLS: true})
	api, _ := start(t, load(t, coretest.Postgres(t), "log_storage: {s3: {bucket: "+s3server.Bucket+", region: "+s3server.Region+
		", endpoint: '"+bucket.Endpoint+"', ca_path: "+bucket.CAPath+"}}"))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		plugin := logStore(t, c, api)
		assert.Equal(c, []string{"logstore", "s3", "ready", ""}, []string{plugin.Kind, plugin.Name, plugin.State, plugin.LastError})
	}, patience, 20*time.Millisecond)

	api, _ = start(t, load(t, coretest.Postgres(t), "log_storage: {plugin: s3}", "logstore-s3: {env: {AWS_ACCESS_KEY_ID: NOBODY}, config: "+
		"{bucket: "+s3server.Bucket+", region: "+s3server.Region+", endpoint: '"+bucket.Endpoint+"', ca_path: "+bucket.CAPath+"}}"))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		plugin := logStore(t, c, api)
		assert.Equal(c, "unhealthy", plugin.State)
		assert.Contains(c, plugin.LastError, "the credentials are not accepted: InvalidAccessKeyId")
	}, patience, 20*time.Millisecond)
}

// TestArchiveThatDoesNotAnswer keeps no server from starting, and is told.
func TestArchiveThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	api, _ := start(t, load(t, coretest.Postgres(t), "log_storage: {s3: {bucket: b, region: r, endpoint: 'http://"+listener.Addr().String()+"'}}"))
	ready(t, api)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		plugin := logStore(t, c, api)
		assert.Equal(c, "unhealthy", plugin.State)
		assert.Contains(c, plugin.LastError, "bucket b: it does not answer")
	}, patience, 20*time.Millisecond)
}
