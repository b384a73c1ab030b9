package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

const minimalServer = "db: {url: postgres://localhost/stroem}\nworker_token: t\n"

func TestServerDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.LoadServer(write(t, minimalServer+"data_dir: /data\n"), nil)
	require.NoError(t, err)
	want := config.Server{
		Listen:      "127.0.0.1:8080",
		DataDir:     "/data",
		DB:          config.DB{URL: "postgres://localhost/stroem", MaxConnections: 10, Timeout: 15 * time.Second},
		LogStorage:  config.LogStorage{LocalDir: "/data/logs", MaxStepBytes: 1 << 30},
		WorkerToken: "t",
		Limits:      config.Limits{LoginPerMinute: 10, WebhookPerMinute: 600},
		Recovery:    config.Recovery{HeartbeatTimeout: 2 * time.Minute, SweepInterval: time.Minute, ReplicaTimeout: time.Minute},
		Metrics:     config.Metrics{Enabled: true},
		Log:         config.Log{Level: "info", Format: "text"},
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestServerEverything(t *testing.T) {
	t.Parallel()
	got, err := config.LoadServer(filepath.Join("testdata", "server.yaml"), nil)
	require.NoError(t, err)
	want := config.Server{
		Listen: "0.0.0.0:8080", PublicURL: "https://stroem.example.com", InternalURL: "http://10.0.0.1:8080", DataDir: "/data",
		DB: config.DB{URL: "postgres://u:p@db/stroem", MaxConnections: 20, Timeout: 5 * time.Second},
		LogStorage: config.LogStorage{
			LocalDir: "/logs", MaxStepBytes: 512 << 20, MaxLocalBytes: 20 << 30,
			S3: &config.S3{
				Bucket: "b", Region: "eu-north-1", Prefix: "logs/", Endpoint: "http://minio:9000", CAPath: "/ca.pem",
				SSE: "aws:kms", KMSKeyID: "alias/logs", StorageClass: "STANDARD_IA",
			},
		},
		Workspaces: map[string]config.Workspace{
			"default": {Type: "folder", PollInterval: 2 * time.Second, Settings: config.Settings{"path": "/ws"}},
			"ops": {Type: "git", PollInterval: 90 * time.Second, Settings: config.Settings{
				"url": "https://git.example.com/ops.git", "ref": "1.10", "auth": map[string]any{"type": "token", "token": "123"},
			}},
			"infra": {Type: "git", PollInterval: time.Minute, Settings: config.Settings{
				"url": "git@git.example.com:infra.git", "ref": "main", "known_hosts": "git.example.com ssh-ed25519 AAAA",
				"insecure_skip_tls_verify": true, "auth": map[string]any{"type": "ssh_key", "key_path": "/id", "passphrase": "p"},
			}},
			"art": {Type: "acme.artifact", PollInterval: time.Minute, Settings: config.Settings{"image": "x", "depth": 2}},
		},
		WorkerToken: "t",
		WorkerTokens: map[string]config.WorkerToken{
			"ci":  {Token: "0123456789abcdef", Workers: []string{"ci-*", "build-?"}, Tags: []string{"shell", "docker"}},
			"gpu": {Token: "fedcba9876543210"},
		},
		Auth: &config.Auth{
			JWTSecret: "0123456789abcdef0123456789abcdef", RefreshSecret: "other", BaseURL: "https://stroem.example.com",
			Providers: map[string]config.AuthProvider{
				"internal": {ProviderType: "internal", DisplayName: "internal"},
				"corp": {
					ProviderType: "oidc", DisplayName: "Corp", IssuerURL: "https://id.example.com", ClientID: "c", ClientSecret: "s",
					Scopes: []string{"groups"}, AllowedEmailDomains: []string{"example.com"}, AssumeEmailVerified: true,
					DefaultRole: "viewer", RoleClaim: "groups", RoleMap: map[string]string{"sre": "admin"}, GroupsClaim: "realm.groups",
				},
			},
			InitialUser: &config.InitialUser{Email: "admin@example.com", Password: "first password"},
		},
		ACL: []config.ACLRule{
			{Workspace: "ops", Tasks: []string{"deploy-*", "restart"}, Groups: []string{"sre"}, Users: []string{"Ada@example.com"}, Allow: "run"},
			{Workspace: "*", Allow: "view"},
		},
		TrustedProxies: []config.Network{
			{Prefix: netip.MustParsePrefix("10.0.0.0/8")},
			{Prefix: netip.MustParsePrefix("192.0.2.7/32")},
			{Prefix: netip.MustParsePrefix("2001:db8::1/128")},
			{Prefix: netip.MustParsePrefix("172.16.0.0/12")},
		},
		Limits:    config.Limits{LoginPerMinute: 5},
		TLS:       &config.ServerTLS{Cert: "/c.pem", Key: "/k.pem"},
		CORS:      config.CORS{AllowedOrigins: []string{"https://ui.example.com"}},
		Secrets:   config.Secrets{Key: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", Env: []string{"DEPLOY_TOKEN"}},
		Recovery:  config.Recovery{HeartbeatTimeout: 30 * time.Second, SweepInterval: 500 * time.Millisecond, Unclaimable: 15 * time.Minute, ReplicaTimeout: 20 * time.Second},
		Retention: config.Retention{JobDays: 90, LogDays: 7, WorkerHours: 24, AuditDays: 365},
		Metrics:   config.Metrics{Listen: "127.0.0.1:9090"},
		Log:       config.Log{Level: "debug", Format: "json"},
		Plugins: config.Plugins{Dir: "/plugins", RequirePinned: true, Entries: map[string]config.Plugin{
			"source-git": {
				Path: "/opt/source-git", SHA256: strings.Repeat("ab", 32), Args: []string{"-v"},
				Env: map[string]config.Secret{"TOKEN": "x"}, Config: config.Settings{"depth": 1},
			},
			"logstore-s3": {Env: map[string]config.Secret{"AWS_PROFILE": "logs"}},
			"runner-x":    {Disabled: true},
		}},
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestBaseURLIsThePublicOne(t *testing.T) {
	t.Parallel()
	const auth = "auth: {jwt_secret: 0123456789abcdef0123456789abcdef, providers: {x: {provider_type: oidc, " +
		"issuer_url: 'http://127.0.0.1:5556/dex', client_id: c, client_secret: s}}"
	got, err := config.LoadServer(write(t, minimalServer+"public_url: https://a.example\n"+auth+"}\n"), []string{"HOME=/h"})
	require.NoError(t, err)
	require.Equal(t, "https://a.example", got.Auth.BaseURL)
	got, err = config.LoadServer(write(t, minimalServer+"public_url: https://a.example\n"+auth+", base_url: https://b.example}\n"), []string{"HOME=/h"})
	require.NoError(t, err)
	require.Equal(t, "https://b.example", got.Auth.BaseURL)
}

func TestWorkerDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.LoadWorker(write(t, "worker_token: t\n"), []string{"HOME=/home/u"})
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, host, got.WorkerName)
	require.Equal(t, "http://127.0.0.1:8080", got.ServerURL)
	require.Positive(t, got.MaxConcurrent)
	require.Equal(t, 2*time.Second, got.PollInterval)
	require.Equal(t, 10*time.Second, got.StopGrace)
	require.Equal(t, 300*time.Second, got.Drain)
	require.Equal(t, filepath.Join(got.DataDir, "cache"), got.WorkspaceCacheDir)
	require.Nil(t, got.Docker)
	require.Nil(t, got.Kubernetes)
}

func TestWorkerEverything(t *testing.T) {
	t.Parallel()
	got, err := config.LoadWorker(filepath.Join("testdata", "worker.yaml"), nil)
	require.NoError(t, err)
	want := config.Worker{
		ServerURL: "https://stroem:8443", WorkerToken: "t", WorkerName: "w1", MaxConcurrent: 4, PollInterval: 5 * time.Second,
		DataDir: "/data", WorkspaceCacheDir: "/cache", WorkspaceCacheMaxBytes: 1 << 30,
		StopGrace: 3 * time.Second, Drain: time.Minute,
		Tags: []string{"gpu"}, Capabilities: []string{"shell"}, RunnerImage: "runner:1",
		Docker: &config.Docker{}, Kubernetes: &config.Kubernetes{Namespace: "jobs", InitImage: "curl", RunnerStartupConfigMap: "cm"},
		TLS: config.WorkerTLS{CA: "/ca.pem"}, Log: config.Log{Level: "warn", Format: "text"},
	}
	require.Empty(t, cmp.Diff(want, got, cmp.Comparer(func(a, b config.Plugins) bool { return len(a.Entries) == len(b.Entries) })))
	require.Equal(t, []string{"gpu"}, got.Labels())
	got.Tags = nil
	require.Equal(t, []string{"shell"}, got.Labels())
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("from file\n"), 0o600))
	named := filepath.Join(t.TempDir(), "named")
	require.NoError(t, os.WriteFile(named, []byte("named, from a file\n"), 0o600))
	got, err := config.LoadServer(write(t, `
listen: 127.0.0.1:1
workspaces:
  my-ops: {type: git, url: u}
`), []string{
		"STROEM__DB__URL=postgres://env",
		"STROEM__DB__MAX_CONNECTIONS=7",
		"STROEM__WORKER_TOKEN_FILE=" + file,
		"STROEM__WORKER_TOKENS__CI__TOKEN_FILE=" + named,
		"STROEM__WORKER_TOKENS__CI__WORKERS=ci-*, build-1",
		"STROEM__LISTEN=0.0.0.0:9",
		"STROEM__INSECURE_NO_AUTH=TRUE",
		"STROEM__RECOVERY__SWEEP_INTERVAL_SECS=1.5",
		"STROEM__SECRETS__ENV=A, B,",
		"STROEM__WORKSPACES__MY_OPS__REF=1.10",
		"STROEM__WORKSPACES__NEW__TYPE=folder",
		"STROEM__WORKSPACES__NEW__PATH=/x",
		"STROEM__PLUGINS__SOURCE_GIT__DISABLED=", // not set
		"STROEM_URL=http://not.ours",
		"PATH=/bin", "HOME=/home/strom",
	})
	require.NoError(t, err)
	require.Equal(t, "postgres://env", got.DB.URL.Reveal())
	require.Equal(t, 7, got.DB.MaxConnections)
	require.Equal(t, "from file", got.WorkerToken.Reveal())
	require.Equal(t, map[string]config.WorkerToken{
		"ci": {Token: "named, from a file", Workers: []string{"ci-*", "build-1"}},
	}, got.WorkerTokens)
	require.Equal(t, "0.0.0.0:9", got.Listen)
	require.Equal(t, 1500*time.Millisecond, got.Recovery.SweepInterval)
	require.Equal(t, 2*time.Minute, got.Recovery.HeartbeatTimeout)
	require.Equal(t, []string{"A", "B"}, got.Secrets.Env)
	require.Equal(t, "1.10", got.Workspaces["my-ops"].Settings["ref"])
	require.Equal(t, "/x", got.Workspaces["new"].Settings["path"])
	require.Empty(t, got.Plugins.Entries)
}

func TestMissingFile(t *testing.T) { //nolint:paralleltest // changes the working directory
	t.Chdir(t.TempDir())
	env := []string{"STROEM__WORKER_TOKEN=t", "STROEM__DATA_DIR=/d"}
	_, err := config.LoadWorker("", env)
	require.NoError(t, err, "the environment says it all")

	_, err = config.LoadWorker("worker-config.yaml", env)
	require.ErrorIs(t, err, os.ErrNotExist, "a file that was asked for must be there")

	_, err = config.LoadServer("", env)
	require.EqualError(t, err, "server-config.yaml: db.url: is required; set it in the file or as STROEM__DB__URL")

	require.NoError(t, os.WriteFile(config.WorkerFile, []byte("worker_token: from the default file\n"), 0o600))
	c, err := config.LoadWorker("", []string{"HOME=/home/strom"})
	require.NoError(t, err)
	require.Equal(t, "from the default file", c.WorkerToken.Reveal())
}
