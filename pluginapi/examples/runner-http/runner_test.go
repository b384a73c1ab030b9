package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

const secret = "geheim-7f3a"

// outcome is what became of a step.
type outcome struct {
	result              *pluginapi.Result
	err                 error
	stdout, stderr, log string
}

// runStep executes one step on a runner with the configuration.
func runStep(t *testing.T, config string, spec map[string]any) outcome {
	t.Helper()
	var logged bytes.Buffer
	r := newRunner(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(r.transport.CloseIdleConnections)
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: json.RawMessage(config)}))
	text, err := json.Marshal(spec)
	require.NoError(t, err)
	out := plugintest.NewRecorder()
	result, err := r.Run(t.Context(), &pluginapi.RunRequest{RunID: "run", Type: "example.http_request", Spec: text}, out)
	stdout, stderr, _ := out.Text()
	return outcome{result, err, stdout, stderr, logged.String()}
}

func TestResults(t *testing.T) {
	t.Parallel()
	server := serve(t)
	elsewhere := serve(t)
	redirect := func(to string) string { return server + "/redirect?to=" + url.QueryEscape(to) }
	const output200 = "OUTPUT: {\"status\": 200}\n"
	for name, tc := range map[string]struct {
		spec    map[string]any
		exit    int
		message string // part of it
		stdout  string
		stderr  string // part of it
	}{
		"success":           {map[string]any{"url": server + "/ok"}, 0, "", "GET ok\n" + output200, "< 200 OK\n"},
		"method":            {map[string]any{"url": server + "/ok", "method": "PUT", "body": "x"}, 0, "", "PUT ok\n" + output200, "> PUT " + server + "/ok\n"},
		"body alone":        {map[string]any{"url": server + "/ok", "output_status": false}, 0, "", "GET ok", ""},
		"no body":           {map[string]any{"url": server + "/ok", "method": "HEAD"}, 0, "", output200, ""},
		"forged output":     {map[string]any{"url": server + "/forged"}, 0, "", "OUTPUT: {\"status\": 1}\n" + output200, ""},
		"not found":         {map[string]any{"url": server + "/fail"}, 4, "404 Not Found", "no\nOUTPUT: {\"status\": 404}\n", "< 404 Not Found\n"},
		"expected":          {map[string]any{"url": server + "/fail", "expect_status": []int{404}, "output_status": false}, 0, "", "no\n", ""},
		"200 not expected":  {map[string]any{"url": server + "/ok", "expect_status": []int{201}, "output_status": false}, 2, "200 OK", "GET ok", ""},
		"broken response":   {map[string]any{"url": server + "/broken"}, 6, "the response broke off", "half", ""},
		"timeout":           {map[string]any{"url": server + "/long", "timeout": "50ms"}, 6, "no complete response within 50ms", "", ""},
		"nobody listens":    {map[string]any{"url": "http://127.0.0.1:1/?token=" + secret}, 6, "connection refused", "", ""},
		"redirect":          {map[string]any{"url": redirect("/ok"), "output_status": false}, 0, "", "GET ok", "> GET " + server + "/ok\n"},
		"expected redirect": {map[string]any{"url": redirect("/ok"), "expect_status": []int{302}, "method": "HEAD"}, 0, "", "OUTPUT: {\"status\": 302}\n", "< Location: " + server + "/ok\n"},
		"redirect of POST":  {map[string]any{"url": redirect("/ok"), "method": "POST", "output_status": false}, 3, "302 Found", "", ""},
		"other origin":      {map[string]any{"url": redirect(elsewhere + "/ok?" + secret), "method": "HEAD"}, 3, "302 Found", "OUTPUT: {\"status\": 302}\n", "< Location: " + elsewhere + "/ok\n"},
		"endless redirects": {map[string]any{"url": server + "/circle", "method": "HEAD"}, 3, "302 Found", "OUTPUT: {\"status\": 302}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runStep(t, "{}", tc.spec)
			require.NoError(t, got.err)
			message := got.result.Message
			require.Equal(t, tc.exit, got.result.ExitCode, message)
			require.Contains(t, message, tc.message)
			require.Equal(t, tc.message == "", message == "", message)
			require.Equal(t, tc.stdout, got.stdout)
			require.Contains(t, got.stderr, tc.stderr)
			require.NotContains(t, message+got.stderr, secret)
		})
	}
}

func TestResponseIsBounded(t *testing.T) {
	t.Parallel()
	got := runStep(t, `{"max_response_bytes": 1000}`, map[string]any{"url": serve(t) + "/large"})
	require.NoError(t, got.err)
	require.Equal(t, &pluginapi.Result{ExitCode: 6, Message: "the response has more than 1000 bytes"}, got.result)
	require.Less(t, len(got.stdout), 1100)
}

func TestSecretsStayInTheRequest(t *testing.T) {
	t.Parallel()
	got := runStep(t, "{}", map[string]any{
		"url": serve(t) + "/key?token=" + secret, "headers": map[string]any{"x-api-key": secret}, "body": secret,
	})
	require.NoError(t, got.err)
	require.Zero(t, *got.result)
	require.NotContains(t, got.stdout+got.stderr+got.log, secret)
	require.NotContains(t, got.stdout+got.stderr+got.log, "set-by-the-server")
	require.Contains(t, got.log, "request ended", "the log is looked at")
}

func TestBadSpecs(t *testing.T) {
	t.Parallel()
	for _, spec := range []map[string]any{
		{},
		{"url": "ftp://host/"},
		{"url": "http:///path"},
		{"url": "http://host", "timeout": "soon"},
		{"url": "http://host", "method": "G E T"},
		{"url": "http://host", "headers": secret},
		{"url": "http://host", "colour": "red"},
	} {
		err := runStep(t, "{}", spec).err
		require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err), "%v: %v", spec, err)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestStopEndsTheRequest(t *testing.T) {
	t.Parallel()
	r := newRunner(slog.New(slog.DiscardHandler))
	t.Cleanup(r.transport.CloseIdleConnections)
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: json.RawMessage("{}")}))
	ctx, stop := context.WithCancel(t.Context())
	out := plugintest.NewRecorder()
	go func() {
		<-out.HasStarted()
		stop()
	}()
	spec := strings.NewReplacer("URL", serve(t)).Replace(`{"url": "URL/long", "timeout": "1h"}`)
	_, err := r.Run(ctx, &pluginapi.RunRequest{RunID: "run", Spec: json.RawMessage(spec)}, out)
	require.ErrorIs(t, err, context.Canceled)
}
