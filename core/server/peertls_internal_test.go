package server

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
)

// TestReplicasTrustTheirOwnCertificate reaches a server whose certificate nobody has signed but itself.
func TestReplicasTrustTheirOwnCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	trusted, err := (&Server{config: config.Server{TLS: &config.ServerTLS{Cert: file}}}).peerTLS()
	require.NoError(t, err)
	transport := &http.Transport{TLSClientConfig: trusted}
	t.Cleanup(transport.CloseIdleConnections)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	plain, err := (&Server{}).peerTLS()
	require.NoError(t, err)
	require.Nil(t, plain, "what is usual")
	_, err = (&Server{config: config.Server{TLS: &config.ServerTLS{Cert: file + "x"}}}).peerTLS()
	require.ErrorContains(t, err, "load the TLS certificate")
}
