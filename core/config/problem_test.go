package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	const jwt = "0123456789abcdef0123456789abcdef"
	oidc := func(keys string) string {
		return "public_url: https://a.example\nauth: {jwt_secret: " + jwt + ", providers: {corp: {provider_type: oidc, client_id: c, client_secret: s, " + keys + "}}}"
	}
	for name, test := range map[string]struct {
		yaml, env string
		want      []string // each is part of one problem, in order
	}{
		"empty":            {"", "", []string{"config.yaml: db.url: is required", "worker_token: is required"}},
		"no db url":        {"worker_token: t\ndb: {}", "", []string{":2:5: db.url: is required"}},
		"not yaml":         {"a: b: c", "", []string{":1:1: not valid YAML: mapping values"}},
		"a list":           {"- a", "", []string{":1:1: must be a section of keys, not a list"}},
		"two files":        {minimalServer + "---\na: b", "", []string{":3:1: one document is enough"}},
		"old key":          {minimalServer + "workspace: {}", "", []string{":3:1: workspace: unknown key; did you mean workspaces?"}},
		"nested key":       {minimalServer + "log_storage: {s3: {bucket: b, regoin: r}}", "", []string{":3:19: log_storage.s3.region: is required", ":3:31: log_storage.s3.regoin: unknown key; did you mean region?"}},
		"far key":          {minimalServer + "tls: {cert: a, key: b, zzzzzzz: c}", "", []string{"tls.zzzzzzz: unknown key; known here: cert, key"}},
		"twice":            {minimalServer + "worker_token: u", "", []string{":3:1: worker_token: stands here twice"}},
		"number":           {minimalServer + "db: {url: u}\nretention: {job_days: soon}", "", []string{":3:1: db: stands here twice", ":4:23: retention.job_days: must be a whole number"}},
		"bool":             {minimalServer + "insecure_no_auth: maybe", "", []string{"insecure_no_auth: must be true or false"}},
		"duration":         {minimalServer + "recovery: {sweep_interval_secs: -1}", "", []string{"recovery.sweep_interval_secs: must be a number of seconds"}},
		"zero":             {minimalServer + "recovery: {sweep_interval_secs: 0}", "", []string{"recovery.sweep_interval_secs: must be more than 0"}},
		"size":             {minimalServer + "log_storage: {max_step_bytes: 1 elephant}", "", []string{"log_storage.max_step_bytes: must be a number of bytes"}},
		"scalar list":      {minimalServer + "secrets: {env: A}", "", []string{"secrets.env: must be a list, not a single value"}},
		"section":          {minimalServer + "recovery: 3", "", []string{"recovery: must be a section of keys, not a single value"}},
		"value":            {minimalServer + "listen: [a]", "", []string{"listen: must be one value, not a list"}},
		"listen":           {minimalServer + "listen: '8080'", "", []string{`listen: "8080" is not an address`}},
		"socket":           {minimalServer + "listen: 'unix:run.sock'", "", []string{`listen: "unix:run.sock" names no socket; write its whole path`}},
		"open":             {minimalServer + "listen: :8080", "", []string{"insecure_no_auth: true"}},
		"open host":        {minimalServer + "listen: stroem.example.com:80", "", []string{"there is no auth section"}},
		"type":             {minimalServer + "workspaces: {a: {type: gitt}}", "", []string{`workspaces.a.type: "gitt" is not a type of workspace; did you mean git?`}},
		"no type":          {minimalServer + "workspaces: {a: {path: /x}}", "", []string{"workspaces.a.type: is required"}},
		"empty ws":         {minimalServer + "workspaces: {a: }", "", []string{"workspaces.a.type: is required"}},
		"no path":          {minimalServer + "workspaces: {a: {type: folder}}", "", []string{"workspaces.a.path: is required"}},
		"no git url":       {minimalServer + "workspaces: {a: {type: git}}", "", []string{"workspaces.a.url: is required"}},
		"git auth":         {minimalServer + "workspaces: {a: {type: git, url: u, auth: {type: magic}}}", "", []string{`workspaces.a.auth.type: "magic" is not one of`}},
		"git basic":        {minimalServer + "workspaces: {a: {type: git, url: u, auth: {type: basic, username: x}}}", "", []string{"workspaces.a.auth: username and password are required"}},
		"git token":        {minimalServer + "workspaces: {a: {type: git, url: u, auth: {type: token}}}", "", []string{"workspaces.a.auth.token: is required"}},
		"ws key":           {minimalServer + "workspaces: {a: {type: folder, paht: /x}}", "", []string{"a.path: is required", "did you mean path?"}},
		"ws name":          {minimalServer + "workspaces: {../etc: {type: folder, path: /x}}", "", []string{"workspaces.../etc: a name starts with"}},
		"no tokens":        {"db: {url: u}\nworker_tokens: {}", "", []string{"worker_token: is required, unless there are worker_tokens"}},
		"named token":      {minimalServer + "worker_tokens: {ci: {tags: [a]}}", "", []string{"worker_tokens.ci.token: is required; set it in the file or as STROEM__WORKER_TOKENS__CI__TOKEN"}},
		"short token":      {minimalServer + "worker_tokens: {ci: {token: 0123456789abcde}}", "", []string{":3:29: worker_tokens.ci.token: has 15 bytes and needs at least 16"}},
		"token twice":      {minimalServer + "worker_tokens: {a: {token: 0123456789abcdef}, b: {token: 0123456789abcdef}}", "", []string{"worker_tokens.b.token: is the same as that of worker_tokens.a"}},
		"token again":      {"db: {url: u}\nworker_token: 0123456789abcdef\nworker_tokens: {a: {token: 0123456789abcdef}}", "", []string{"worker_tokens.a.token: is the same as that of worker_token;"}},
		"token name":       {minimalServer + "worker_tokens: {a/b: {token: 0123456789abcdef}, default: {token: 0123456789abcdeg}}", "", []string{"worker_tokens.a/b: a name starts with", "worker_tokens.default: is what worker_token is called"}},
		"token globs":      {minimalServer + "worker_tokens: {a: {token: 0123456789abcdef, workers: [''], tags: ['']}}", "", []string{`worker_tokens.a.workers: "" is not a name or a pattern`, `worker_tokens.a.tags: ""`}},
		"token limit":      {minimalServer + "worker_tokens: {a: {token: 0123456789abcdef, workspaces: [ops]}}", "", []string{"worker_tokens.a.workspaces: unknown key; known here: token, workers, tags"}},
		"auth empty":       {minimalServer + "auth:", "", []string{"auth.jwt_secret: is required"}},
		"short secret":     {minimalServer + "auth: {jwt_secret: short}", "", []string{"auth.jwt_secret: has 5 bytes and needs at least 32"}},
		"oidc":             {minimalServer + "auth: {jwt_secret: " + jwt + ", providers: {x: {provider_type: oidc, issuer_url: https://i, client_id: c}}}", "", []string{"auth.base_url: is required for provider x, unless public_url is set", "providers.x.client_secret: is required"}},
		"oidc http":        {minimalServer + oidc("issuer_url: http://id.example"), "", []string{"corp.issuer_url: must start with https://"}},
		"oidc query":       {minimalServer + oidc("issuer_url: 'https://id.example?a=b'"), "", []string{"corp.issuer_url: must have neither"}},
		"oidc scope":       {minimalServer + oidc("issuer_url: https://i, scopes: [groups roles]"), "", []string{`corp.scopes: "groups roles" is not a scope`}},
		"oidc domains":     {minimalServer + oidc("issuer_url: https://i, allowed_email_domains: ['@example.com', '*.example.com']"), "", []string{`"@example.com" is not a domain`, `"*.example.com" is not a domain`}},
		"oidc map":         {minimalServer + oidc("issuer_url: https://i, role_map: {sre: admin}"), "", []string{"corp.role_map: needs role_claim"}},
		"oidc claim":       {minimalServer + oidc("issuer_url: https://i, role_claim: groups"), "", []string{"corp.role_claim: needs role_map"}},
		"oidc roles":       {minimalServer + oidc("issuer_url: https://i, default_role: root, role_claim: groups, role_map: {sre: superuser, dev: ''}"), "", []string{`corp.default_role: "root" is not one of`, `role_map.sre: "superuser" is not one of admin, operator, viewer`, `role_map.dev: "" is not one of`}},
		"oidc name":        {minimalServer + strings.Replace(oidc("issuer_url: https://i"), "corp", "'a/b'", 1), "", []string{"auth.providers.a/b: a name that is part of an address"}},
		"provider":         {minimalServer + "auth: {jwt_secret: " + jwt + ", providers: {x: {provider_type: ldap}}}", "", []string{`"ldap" is neither`}},
		"acl without auth": {minimalServer + "acl: [{workspace: a, allow: run}]", "", []string{":3:6: acl: needs an auth section"}},
		"acl": {
			minimalServer + "auth: {jwt_secret: " + jwt + "}\nacl:\n- {workspace: '', alow: run}\n- {workspace: \"a\\0\", tasks: ['', '" + strings.Repeat("x", 201) + "'], groups: [''], users: [ada], allow: read}\n" +
				"- {tasks: [], groups: , users: [], allow: none}\n- 7\n", "",
			[]string{
				":5:3: acl.0.allow: is required: view, run or none", ":5:15: acl.0.workspace: is required", ":5:19: acl.0.alow: unknown key; did you mean allow?",
				`:6:15: acl.1.workspace: "a\x00" has characters`, "acl.1.tasks.0: is empty; * stands for all", "acl.1.tasks.1: has more than 200 characters",
				"acl.1.groups.0: is empty", `acl.1.users.0: "ada" is not an e-mail address`, `acl.1.allow: "read" is not one of view, run, none`,
				":7:3: acl.2.workspace: is required", ":7:11: acl.2.tasks: is empty; leave the key out for all tasks", "acl.2.groups: is empty; leave the key out for everybody",
				"acl.2.users: is empty", ":8:3: acl.3: must be a section of keys",
			},
		},
		"many rules":             {minimalServer + "auth: {jwt_secret: " + jwt + "}\nacl:\n" + strings.Repeat("- {workspace: a, allow: run}\n", 501), "", []string{"acl: has 501 entries, and may have 500"}},
		"acl in the environment": {minimalServer, "STROEM__ACL=a", []string{"STROEM__ACL: acl.0: must be a section of keys"}},
		"proxies": {
			minimalServer + "trusted_proxies: [10.0.0.1/8, 10.0.0, 'fe80::1%eth0', '10.0.0.0/33', [], example.com]", "",
			[]string{
				`:3:19: trusted_proxies.0: "10.0.0.1/8" is more than the name of a network; did you mean 10.0.0.0/8, or the address 10.0.0.1?`,
				`trusted_proxies.1: "10.0.0" is neither`, "trusted_proxies.2: ", "trusted_proxies.3: ", "trusted_proxies.4: must be a network", "trusted_proxies.5: ",
			},
		},
		"limits":      {minimalServer + "limits: {login_per_minute: 0, webhook_per_minute: -1}", "", []string{":3:28: limits.login_per_minute: is 0 and must be at least 1", "limits.webhook_per_minute: is -1 and must be at least 0"}},
		"huge limits": {minimalServer + "limits: {login_per_minute: 1000001, webhook_per_minute: 1000001}", "", []string{"limits.login_per_minute: is 1000001 and must be at most 1000000", "limits.webhook_per_minute: is"}},
		"secrets old key": {
			minimalServer + "secrets: {old_keys: [c2hvcnQ=]}", "",
			[]string{"secrets.old_keys.0: must be 32 bytes in base64", "secrets.old_keys: needs secrets.key"},
		},
		"s3 settings":  {minimalServer + "log_storage: {s3: {bucket: b, region: r, endpoint: s3.local, sse: AES512, kms_key_id: k}}", "", []string{`log_storage.s3.endpoint: must be a URL`, `log_storage.s3.sse: "AES512" is not one of AES256, aws:kms, aws:kms:dsse`, "log_storage.s3.kms_key_id: is for sse: aws:kms"}},
		"s3 twice":     {minimalServer + "log_storage: {s3: {bucket: b, region: r}}\nplugins: {logstore-s3: {config: {bucket: c}}}", "", []string{":4:33: plugins.logstore-s3.config: log_storage.s3 configures this plugin as well; keep one of them"}},
		"s3 disabled":  {minimalServer + "log_storage: {s3: {bucket: b, region: r}}\nplugins: {logstore-s3: {disabled: true}}", "", []string{"plugins.logstore-s3.disabled: log_storage asks for this plugin"}},
		"archives":     {minimalServer + "log_storage: {s3: {bucket: b, region: r}, plugin: acme.store}", "", []string{"log_storage.plugin: log_storage.s3 is an archive as well"}},
		"no archive":   {minimalServer + "log_storage: {max_local_bytes: 1GiB}", "", []string{"log_storage.max_local_bytes: only what is archived is removed"}},
		"archive name": {minimalServer + "log_storage: {plugin: /bin/sh}", "", []string{`log_storage.plugin: "/bin/sh" is not the name of a log store`}},
		"secrets key":  {minimalServer + "secrets: {key: c2hvcnQ=}", "", []string{"secrets.key: must be 32 bytes in base64"}},
		"url":          {minimalServer + "public_url: example.com", "", []string{"public_url: must be a URL"}},
		"plugin name":  {minimalServer + "plugins: {../x: {}}", "", []string{"plugins.../x: a plugin is called"}},
		"plugin path":  {minimalServer + "plugins: {/bin/sh: {}, runner-../x: {}, 'runner-a/b': {}, \"runner-a\\0b\": {}}", "", []string{"plugins./bin/sh: a plugin is called", "plugins.runner-../x: a plugin is called", "plugins.runner-a\x00b: a plugin is called", "plugins.runner-a/b: a plugin is called"}},
		"plugin kind":  {minimalServer + "plugins: {runer-docker: {disabled: true}, magic-x: {}}", "", []string{`plugins.runer-docker: "runer" is not a kind of plugin; did you mean runner?`, "known here: runner, source, logstore"}},
		"plugin env":   {minimalServer + "plugins: {runner-x: {env: {A=B: c}}}", "", []string{`plugins.runner-x.env: "A=B" is not the name of a variable`}},
		"plugin key":   {minimalServer + "plugins: {runner-x: {sha265: ab}, require_pined: true}", "", []string{"plugins.require_pined: ", "plugins.runner-x.sha265: unknown key; did you mean sha256?"}},
		"plugin sum":   {minimalServer + "plugins: {runner-x: {sha256: 12, path: rel}}", "", []string{"runner-x.sha256: must be 64", "runner-x.path: must be absolute"}},
		"level":        {minimalServer + "log: {level: loud}", "", []string{`log.level: "loud" is not one of debug, info, warn, error`}},
		"env unknown":  {minimalServer, "STROEM__WORKER_TOKE=x", []string{"STROEM__WORKER_TOKE: worker_toke: unknown key; did you mean worker_token?"}},
		"env type":     {minimalServer, "STROEM__DB__MAX_CONNECTIONS=many", []string{"STROEM__DB__MAX_CONNECTIONS: db.max_connections: must be a whole number"}},
		"env below":    {minimalServer, "STROEM__LISTEN__PORT=1", nil},
		"env required": {minimalServer, "STROEM__LOG_STORAGE__S3__BUCKET=b", []string{"STROEM__LOG_STORAGE__S3__BUCKET: log_storage.s3.region: is required"}},
		"env hole":     {minimalServer, "STROEM__DB____URL=x", []string{"a name between them is missing"}},
		"env scalar":   {"worker_token: t\ndb: postgres://", "STROEM__DB__URL=x", []string{"STROEM__DB__URL: db is not a section"}},
		"env file":     {minimalServer, "STROEM__WORKER_TOKEN_FILE=/nowhere/at/all", []string{"STROEM__WORKER_TOKEN_FILE: read the value from a file: open /nowhere/at/all"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.LoadServer(write(t, test.yaml), []string{test.env, "HOME=/h"})
			if test.want == nil {
				require.Error(t, err)
				return
			}
			var problems *config.Error
			require.ErrorAs(t, err, &problems)
			require.GreaterOrEqual(t, len(problems.Problems), len(test.want), "%v", err)
			text := err.Error()
			for _, part := range test.want {
				require.Contains(t, text, part)
			}
			require.NotContains(t, text, "panic")
			require.NotContains(t, text, "0123456789abc", "secrets are not told")
		})
	}
}

func TestWorkerProblems(t *testing.T) {
	t.Parallel()
	_, err := config.LoadWorker(write(t, `
server_url: localhost
max_concurrent: 0
poll_interval_secs: 0
kubernetes:
tags: [""]
capabilities: [""]
`), []string{"HOME=/home/strom"})
	var problems *config.Error
	require.ErrorAs(t, err, &problems)
	var keys []string
	for _, p := range problems.Problems {
		keys = append(keys, p.Key)
	}
	require.ElementsMatch(t, []string{
		"server_url", "worker_token", "max_concurrent", "poll_interval_secs", "tags", "capabilities",
	}, keys)
}

func TestNamedWorkerTokensAreEnough(t *testing.T) {
	t.Parallel()
	c, err := config.LoadServer(write(t, "db: {url: u}\nworker_tokens: {ci: {token: 0123456789abcdef}}"), []string{"HOME=/h"})
	require.NoError(t, err)
	require.Empty(t, c.WorkerToken)
	require.Len(t, c.WorkerTokens, 1)
}

func TestBothValueAndFile(t *testing.T) {
	t.Parallel()
	_, err := config.LoadServer(write(t, minimalServer), []string{"STROEM__DB__URL=a", "STROEM__DB__URL_FILE=/b"})
	require.ErrorContains(t, err, "STROEM__DB__URL is set as well")
}

func TestLoopbackIsAllowedWithoutAuth(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1:1", "127.8.8.8:1", "localhost:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/run/stroem.sock"} {
		_, err := config.LoadServer(write(t, minimalServer+"listen: '"+listen+"'"), []string{"HOME=/h"})
		require.NoError(t, err, listen)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimalServer, "db.url")
	f.Add("a: &a {b: *a}", "A__B")
	f.Add("workspaces: &w {a: {type: git, auth: *w}}", "WORKSPACES__A__AUTH")
	f.Add("plugins: {runner-a: {config: &x {y: *x}}}", "PLUGINS__X__CONFIG__Y")
	f.Add("<<: {listen: x}", "LISTEN_FILE")
	f.Fuzz(func(t *testing.T, content, variable string) {
		if strings.HasSuffix(variable, "_FILE") || strings.ContainsAny(variable, "=\x00") {
			return // would read files at random
		}
		_, err := config.LoadServer(write(t, content), []string{"STROEM__" + variable + "=1", "HOME=/h"})
		var problems *config.Error
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("not a list of problems: %v", err)
		}
	})
}
