package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

// leaking is a task whose steps print what is secret in every way, and hand it on.
const leaking = `
secrets:
  api: {token: %TOKEN%}
  key: |
    -----BEGIN TEST KEY-----
    MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSk
    -----END TEST KEY-----
actions:
  print:
    type: shell
    env: {TOKEN: "{{ secret.api.token }}", KEY: "{{ secret.key }}"}
    input: {password: {type: string, secret: true}, note: {type: string}}
    cmd: |
      echo() { printf '%s\n' "$*"; } # that of some shells changes backslashes
      escaped() { printf %s "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }
      echo "plain: $TOKEN"
      echo "base64: $(printf %s "$TOKEN" | base64 -w 0)"
      echo "basic: $(printf 'user:%s' "$TOKEN" | base64 -w 0) $(printf 'u:%s' "$TOKEN" | base64 -w 0) $(printf '%s:%s' u "x$TOKEN" | base64 -w 0)"
      echo "url: $(printf %s "$TOKEN" | sed 's/%/%25/g; s/ /%20/g; s|/|%2F|g; s/+/%2B/g; s/"/%22/g; s/&/%26/g; s/\\/%5C/g')"
      echo "json: {\"token\": \"$(escaped "$TOKEN")\"}"
      printf 'one half:\nsplit: %.7s' "$TOKEN"; until test -e '%GATE%'; do sleep 0.05; done; printf '%s\n' "${TOKEN#???????}"
      echo "$KEY"
      printf '%s\n' "$KEY" | while read -r line; do echo "one by one: $line"; done
      echo "given: $INPUT_PASSWORD $INPUT_NOTE"
      echo "to stderr: $TOKEN $INPUT_PASSWORD" >&2
      echo "OUTPUT: {\"token\": \"$(escaped "$TOKEN")\", \"list\": [\"a $(printf %s "$TOKEN" | base64 -w 0)\"], \"password\": \"$INPUT_PASSWORD\", \"pin\": $INPUT_PIN}"
  use:
    type: shell
    cmd: |
      echo "OUTPUT: {\"token\": \"$(printf %s "$INPUT_TOKEN" | sha256sum | cut -c 1-64)\", \"password\": \"$(printf %s "$INPUT_PASSWORD" | sha256sum | cut -c 1-64)\", \"pin\": \"$(printf %s "$INPUT_PIN" | sha256sum | cut -c 1-64)\"}"
      echo "used: $INPUT_TOKEN $INPUT_PASSWORD"
  fail:
    type: shell
    env: {TOKEN: "{{ secret.api.token }}"}
    cmd: printf '%s\n' "no access with $TOKEN or {{ input.password }}" >&2; exit 3
tasks:
  leak:
    input:
      password: {type: string, secret: true, required: true}
      pin: {type: integer, secret: true}
      token: {type: string, default: "{{ secret.api.token }}"}
      other: {type: string, secret: true, default: "{{ secret.api.token }}"}
    flow:
      print: {action: print, input: {password: "{{ input.password }}", note: "with {{ input.token }}", pin: "{{ input.pin }}"}}
      use:
        action: use
        depends_on: [print]
        input: {token: "{{ print.output.token }}", password: "{{ print.output.password }}", pin: "{{ print.output.pin }}"}
      fail: {action: fail, depends_on: [print], continue_on_failure: true, input: {password: "{{ input.password }}"}}
`

// TestNoSecretIsStoredOrShown greps the logs, the database and the answers of the API for secrets that steps have printed.
func TestNoSecretIsStoredOrShown(t *testing.T) {
	t.Parallel()
	const (
		token    = `t0k3n/of the+API "quoted"&back\slash`
		password = "p4ssword-of-the-job"
		pin      = "482913"
	)
	quoted, err := json.Marshal(token)
	require.NoError(t, err)
	database, gate := coretest.Postgres(t), filepath.Join(t.TempDir(), "gate")
	s := newSystemOn(t, database, workspace(t, strings.NewReplacer("%TOKEN%", string(quoted), "%GATE%", gate).Replace(leaking)), nil)
	w := s.startWorker("w", nil)
	id := s.execute("default", "leak", map[string]any{"password": password, "pin": 482913})
	s.eventually("one half of the secret is written", func(ctx context.Context) bool {
		logs, err := s.Logs(ctx, id, client.LogQuery{})
		return err == nil && strings.Contains(logs.Logs, "one half:")
	})
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	job := s.wait(id)
	for _, step := range job.Steps {
		if step.StepName != "fail" {
			require.Nil(t, step.ErrorMessage, step.StepName)
		}
	}
	require.Equal(t, "completed", job.Status, describeSteps(job))
	require.Equal(t, map[string]any{
		"use": map[string]any{"token": digest(token), "password": digest(password), "pin": digest(pin)},
	}, job.Output, "the next step gets them as they are")
	require.Equal(t, map[string]any{"password": "••••••", "pin": "••••••", "token": "••••••", "other": "••••••"}, job.Input)
	for _, step := range job.Steps {
		switch step.StepName {
		case "print":
			require.Equal(t, map[string]any{"token": "••••••", "list": []any{"a ••••••"}, "password": "••••••", "pin": "••••••"}, step.Output)
			require.Equal(t, map[string]any{"password": "••••••", "note": "with ••••••", "pin": "••••••"}, step.Input)
		case "fail":
			require.Contains(t, *step.ErrorMessage, "no access with •••••• or ••••••")
		}
	}

	base := "http://" + s.listen + "/api/"
	places := map[string]string{
		"the database": coretest.PlainColumns(t, database), "the server's own log": s.server.log.String(), "the worker's own log": w.log.String(),
	}
	for _, path := range []string{
		"jobs", "jobs/" + id, "jobs/" + id + "/logs", "jobs/" + id + "/logs?tail=100", "jobs/" + id + "/logs?q=plain",
		"jobs/" + id + "/steps/print/logs", "jobs/" + id + "/steps/fail/logs", "jobs/" + id + "/steps/_server/logs", "jobs?workspace=default&task_name=leak",
		"workspaces", "workspaces/default/tasks", "workspaces/default/tasks/leak", "workspaces/default/triggers", "workers",
	} {
		places["GET "+path] = answer(t, base+path)
	}
	logs := filepath.Join(s.dir, "server", "logs")
	require.NoError(t, filepath.WalkDir(logs, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			places["the file "+filepath.Base(path)] = string(content)
		}
		return err
	}))
	require.Contains(t, places, "the file "+id+".jsonl")
	log := places["the file "+id+".jsonl"]
	for _, line := range []string{
		"plain: ••••••", "base64: ••••••", "url: ••••••", `json: {\"token\": \"••••••\"}`, "split: ••••••", "one by one: ••••••",
		"given: •••••• with ••••••", "to stderr: •••••• ••••••", "used: •••••• ••••••",
	} {
		require.Contains(t, log, `"line":"`+line+`"`)
	}
	require.Contains(t, places["the database"], "with ••••••", "it is what is looked at")
	for place, content := range places {
		for name, form := range traces(token, password) {
			require.NotContains(t, content, form, "%s has %s", place, name)
		}
		require.NotContains(t, content, pin, "%s has the number", place)
		require.NotContains(t, content, "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSk", "%s has the key", place)
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func answer(t *testing.T, address string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", address, body)
	return string(body)
}

// traces are the forms in which secrets could be found, those of base64 without what depends on the text around them.
func traces(secrets ...string) map[string]string {
	found := map[string]string{}
	for _, secret := range secrets {
		found["plain "+secret] = secret
		found["the middle of "+secret] = secret[2 : len(secret)-2]
		for before := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
			found["base64 of "+secret+" behind "+strings.Repeat("x", before)] = encoded[4 : len(encoded)-4]
		}
		found["URL-encoded "+secret] = url.PathEscape(secret)
		found["in a query "+secret] = url.QueryEscape(secret)
		quoted, _ := json.Marshal(secret)
		found["in JSON "+secret] = strings.Trim(string(quoted), `"`)
		twice, _ := json.Marshal(string(quoted))
		found["in JSON in JSON "+secret] = strings.Trim(string(twice), `\"`)
	}
	return found
}
