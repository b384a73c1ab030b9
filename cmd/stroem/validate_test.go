package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/workflow"
)

// tree writes files into a directory of the test.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

const encrypted = `secrets:
    db:
        password: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]
sops:
    version: 3.8.1
`

// workspaces are some good and bad ones, for validate to be called beside them.
func workspaces(t *testing.T) string {
	t.Helper()
	return tree(t, map[string]string{
		"good/.workflows/a.yaml": "actions: {a: {type: shell, cmd: 'true'}}\n",
		"good/.workflows/b.yaml": "tasks: {t: {flow: {s: {action: a}}}}\n",
		"bad/.workflows/a.yaml":  "actions:\n  a: {type: shel}\n  b: {type: shell, cmd: 'echo {{ input.x }}'}\n",
		"bad/.workflows/b.yaml":  "tasks: {t: {flow: {s: {action: bb}}}}\n",
		"warned/.workflows/a.yaml": "actions: {a: {type: shell, cmd: 'true', env: {P: '{{ secret.db.password }}', Q: '{{ secret.db.user }}'}}}\n" +
			"secrets: {own: '{{ env.NOT_HERE }}'}\n",
		"warned/.workflows/s.sops.yaml": encrypted,
		"empty/README.md":               "nothing\n",
		"alone.yaml":                    "actions: {a: {type: shell}}\n",
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	dir := workspaces(t)
	const badA = "bad/.workflows/a.yaml:2:13: error: unknown action type 'shel'; did you mean 'shell'?\n" +
		"bad/.workflows/a.yaml:3:34: warning: {{ input.x }} stands unquoted in shell text, which would run whatever the input says: use \"$INPUT_X\"\n"
	const badB = "bad/.workflows/b.yaml:1:32: error: action 'bb' is not defined; did you mean 'b'?\n"
	const sops = "warned/.workflows/s.sops.yaml:1:1: warning: the file cannot be decrypted here, so that of its secrets the names alone are checked: "
	for name, tc := range map[string]struct {
		args []string
		code int
		want string // a prefix where it does not end with a line
	}{
		"good":       {[]string{"good"}, 0, "[OK] good\n"},
		"bad":        {[]string{"bad/"}, 1, "[FAIL] bad/\n" + badA + badB + "2 errors, 1 warning.\n"},
		"several":    {[]string{"good", "bad"}, 1, "[OK] good\n[FAIL] bad\n" + badA + badB + "2 errors, 1 warning.\n"},
		"all good":   {[]string{"good", "good/.workflows"}, 0, "[OK] good\n[OK] good/.workflows\nNo problems.\n"},
		"warnings":   {[]string{"warned"}, 0, "[OK] warned\nwarned/.workflows/a.yaml:1:85: warning: undefined secret 'secret.db.user'\n" + sops},
		"strict":     {[]string{"warned", "--strict"}, 1, "[OK] warned\n"},
		"strict ok":  {[]string{"good", "--strict"}, 0, "[OK] good\n"},
		"empty":      {[]string{"empty"}, 0, "[OK] empty\nwarning: there are no workflows here: write some into empty/.workflows/hello.yaml\n1 warning.\n"},
		"not there":  {[]string{"nope", "good"}, 1, "[FAIL] nope\nerror: nothing can be read at nope: stat nope: no such file or directory\n[OK] good\n1 error.\n"},
		"a file":     {[]string{"bad/.workflows/b.yaml"}, 1, "[FAIL] bad/.workflows/b.yaml\n" + badB + "1 error.\n"},
		"of a whole": {[]string{"good/.workflows/b.yaml"}, 0, "[OK] good/.workflows/b.yaml\n"},
		"alone":      {[]string{"alone.yaml"}, 1, "[FAIL] alone.yaml\nalone.yaml:1:14: error: "},
		"github": {
			[]string{"bad", "--format", "github"},
			1,
			"::error file=bad/.workflows/a.yaml,line=2,col=13::unknown action type 'shel'; did you mean 'shell'?\n" +
				"::warning file=bad/.workflows/a.yaml,line=3,col=34::{{ input.x }} stands unquoted in shell text, which would run whatever the input says: use \"$INPUT_X\"\n" +
				"::error file=bad/.workflows/b.yaml,line=1,col=32::action 'bb' is not defined; did you mean 'b'?\n2 errors, 1 warning.\n",
		},
		"github good": {[]string{"good", "--format", "github"}, 0, "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := stroem(t, dir, append([]string{"validate"}, tc.args...)...)
			require.Equal(t, tc.code, got.code, got.stderr)
			require.Empty(t, got.stderr)
			if got.stdout == "" {
				got.stdout = "\n"
			}
			if tc.want[len(tc.want)-1] == '\n' && name != "strict" {
				require.Equal(t, tc.want, got.stdout)
			} else {
				require.Contains(t, got.stdout, tc.want)
			}
		})
	}
	t.Run("here", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, stroem(t, filepath.Join(dir, "bad"), "validate").stdout, "[FAIL] .\n.workflows/a.yaml:2:13: error: ")
		require.Contains(t, stroem(t, filepath.Join(dir, "bad", ".workflows"), "validate", "b.yaml").stdout, "b.yaml:1:32: error: action 'bb'")
	})
	t.Run("usage", func(t *testing.T) {
		t.Parallel()
		for want, args := range map[string][]string{
			"has to be text or github": {"--format", "xml"}, "exclude each other": {"--format", "github", "-o", "json"}, "unknown flag": {"--nope"},
		} {
			got := stroem(t, dir, append([]string{"validate", "good"}, args...)...)
			require.Equal(t, 2, got.code)
			require.Contains(t, got.stderr, want)
		}
	})
}

// TestValidateJSON holds the shape that docs/authoring.md promises.
func TestValidateJSON(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"ws/.workflows/a.yaml": "actions: {a: {type: shel}}\n", "good/.workflows/a.yaml": "actions: {a: {type: shell, cmd: x}}\n",
	})
	got := stroem(t, dir, "validate", "ws", "good", "nope", "-o", "json")
	require.Equal(t, 1, got.code)
	require.JSONEq(t, `[
		{"path": "ws", "valid": false, "problems": [{
			"file": "ws/.workflows/a.yaml", "line": 1, "column": 21, "severity": "error", "message": "unknown action type 'shel'; did you mean 'shell'?"
		}]},
		{"path": "good", "valid": true, "problems": []},
		{"path": "nope", "valid": false, "problems": [{
			"file": "", "line": 0, "column": 0, "severity": "error", "message": "nothing can be read at nope: stat nope: no such file or directory"
		}]}
	]`, got.stdout)
	require.Contains(t, stroem(t, dir, "validate", "ws", "-o", "yaml").stdout, "severity: error")
}

func TestAnnotation(t *testing.T) {
	t.Setenv("GITHUB_WORKSPACE", "")
	p := problem{api.Diagnostic{File: "a,b:c%.yaml", Line: 3, Column: 7, Message: "50% of\nit: a, b\r::error::x"}, workflow.SeverityWarning}
	require.Equal(t, "::warning file=a%2Cb%3Ac%25.yaml,line=3,col=7::50%25 of%0Ait: a, b%0D::error::x", annotation(p))
	p = problem{api.Diagnostic{Message: "all of it"}, workflow.SeverityError}
	require.Equal(t, "::error::all of it", annotation(p))

	here, err := os.Getwd()
	require.NoError(t, err)
	t.Setenv("GITHUB_WORKSPACE", filepath.Dir(here))
	p.File = "x.yaml"
	require.Equal(t, "::error file=stroem/x.yaml::all of it", annotation(p))
	p.File = "../../x.yaml"
	require.Equal(t, "::error file=../../x.yaml::all of it", annotation(p), "it is not in the repository")
}

func TestNamesOfSecretsThatCannotBeDecrypted(t *testing.T) {
	t.Parallel()
	failing := func(string, []byte) ([]byte, error) { return nil, errors.New("no key") }
	var warnings workflow.Diagnostics
	names, err := namesOnly(failing, &warnings)("s.sops.yaml", []byte(encrypted))
	require.NoError(t, err)
	require.NotContains(t, string(names), "sops")
	require.Contains(t, string(names), "password:")
	require.Len(t, warnings, 1)
	for _, other := range []string{"tasks: {}\nsops: {}\n", "[]", "\t", ""} {
		_, err := namesOnly(failing, &warnings)("s.sops.yaml", []byte(other))
		require.EqualError(t, err, "no key", other)
	}
	require.Len(t, warnings, 1)
}

func TestInputIsRead(t *testing.T) {
	t.Parallel()
	file := write(t, "input.json", `{"a": 1}`)
	types := func() (map[string]string, error) { return map[string]string{"n": "integer"}, nil }
	for _, tc := range []struct {
		flags inputFlags
		want  string
	}{
		{inputFlags{}, `{}`},
		{inputFlags{input: ` {"a": 1}`}, `{"a": 1}`},
		{inputFlags{input: file, fields: []string{"a=x"}, sets: []string{"n=7", "e="}}, `{"a": "x", "n": 7, "e": ""}`},
		{inputFlags{inputFile: file, sets: []string{"n=7"}}, `{"a": 1, "n": 7}`},
	} {
		got, err := tc.flags.read(types)
		require.NoError(t, err)
		text, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, tc.want, string(text))
	}
	for want, flags := range map[string]inputFlags{
		"Invalid JSON input":  {input: `[1]`},
		"nope.json":           {input: "nope.json"},
		"write it as key=val": {fields: []string{"=1"}},
		"has to be an int":    {sets: []string{"n=x"}},
	} {
		_, err := flags.read(types)
		require.ErrorContains(t, err, want)
	}
}
