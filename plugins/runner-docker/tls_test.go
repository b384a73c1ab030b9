package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// authority signs certificates, and is trusted by who has its file.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue makes a certificate with its key, in files of that name; the first one is the authority's own.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	if a.cert == nil {
		a.key = key
		a.cert, err = x509.ParseCertificate(der)
		require.NoError(t, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.file(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestTLS has an engine that wants certificates of its clients, behind a line that is encrypted.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	server := ca.issue(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ca.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	stranger.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.cert)
	engine(t)
	l := newLine(t, &tls.Config{
		Certificates: []tls.Certificate{server}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})
	host := "tcp://" + l.address
	with := func(trust, known *authority) doc {
		return doc{"host": host, "tls": doc{
			"ca_file": trust.file("ca.crt"), "cert_file": known.file("client.crt"), "key_file": known.file("client.key"),
		}}
	}
	f := setup(t, typeShell, doc{"cmd": "cat word"}, with(ca, ca)).files(t, map[string]string{"word": "encrypted"})
	health, err := f.runner.CheckHealth(t.Context())
	require.NoError(t, err)
	require.Equal(t, &pluginapi.Health{State: pluginapi.Healthy}, health)
	f.want(t, outcome{stdout: "encrypted"})

	for name, config := range map[string]doc{
		"an engine of a strange authority": with(stranger, ca),
		"a strange client":                 with(ca, stranger),
		"no client certificate":            {"host": host, "tls": doc{"ca_file": ca.file("ca.crt")}},
		"no encryption":                    {"host": host},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, typeDocker, doc{}, config)
			health, err := f.runner.CheckHealth(t.Context())
			require.NoError(t, err)
			require.Equal(t, pluginapi.Unavailable, health.State)
			require.Contains(t, health.Message, host)
			require.Contains(t, health.Message, "tls")
		})
	}
}

// TestEnvironmentOfThePlugin: DOCKER_HOST and DOCKER_CERT_PATH lead to the engine, and its certificate is verified then, too,
// though DOCKER_TLS_VERIFY is not set.
func TestEnvironmentOfThePlugin(t *testing.T) {
	t.Parallel()
	engine(t)
	ca, stranger := newAuthority(t), newAuthority(t)
	server := ca.issue(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	l := newLine(t, &tls.Config{Certificates: []tls.Certificate{server}, MinVersion: tls.VersionTLS12})
	for trusted, want := range map[*authority]pluginapi.HealthState{ca: pluginapi.Healthy, stranger: pluginapi.Unavailable} {
		trusted.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		dir := t.TempDir()
		for file, as := range map[string]string{"ca.crt": "ca.pem", "client.crt": "cert.pem", "client.key": "key.pem"} {
			require.NoError(t, os.Rename(trusted.file(file), filepath.Join(dir, as)))
		}
		_, r := processWith(t, "DOCKER_HOST=tcp://"+l.address, "DOCKER_CERT_PATH="+dir)
		require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: []byte("{}")}))
		health, err := r.CheckHealth(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, health.State, health.Message)
	}

	_, r := processWith(t, "DOCKER_HOST=ssh://me@there")
	require.ErrorContains(t, r.Configure(t.Context(), &pluginapi.Config{Settings: []byte("{}")}), "ssh is not supported")
}
