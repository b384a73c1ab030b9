package workflow_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
)

// tree makes a workspace of files.
func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{".": {Mode: 0o755 | 1<<31}}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return fsys
}

func messages(diags workflow.Diagnostics) []string {
	var lines []string
	for _, d := range diags {
		lines = append(lines, d.String())
	}
	return lines
}

const action = "actions: {ok: {type: shell, cmd: 'true'}}\n"

func TestLoadFindsFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string // names of tasks
		diags []string
	}{
		{name: "empty directory"},
		{
			name: "the directory, one level, YAML only",
			files: map[string]string{
				".workflows/b.yml": "tasks: {b: {flow: {a: {action: ok}}}}", ".workflows/a.yaml": action,
				".workflows/sub/c.yaml": "tasks: 5", ".workflows/notes.txt": "tasks: 5", ".workflows/.sops.yaml": "creation_rules: []",
				".workflows/dir.yaml/x": "", "root.yaml": "tasks: 5",
			},
			want: []string{"b"},
		},
		{
			name: "the root, only files with sections of ours",
			files: map[string]string{
				"a.yaml": action + "tasks: {a: {flow: {a: {action: ok}}}}", "values.yaml": "replicas: 5\n", "broken.yaml": "{{ helm }}: [",
				"sub/c.yaml": "tasks: 5", ".hidden.yaml": "tasks: 5",
			},
			want: []string{"a"},
		},
		{
			name:  "somebody else's file that looks like one of ours",
			files: map[string]string{"compose.yaml": "services: {}\nsecrets: {}\n"},
			diags: []string{"compose.yaml:1:1: error: unknown key 'services' in a workflow file; known are: secrets, actions, tasks, triggers, on_success, on_error; " +
				"if this is none, put the workflow files into .workflows/, where nothing else is read"},
		},
		{
			name:  "references across files",
			files: map[string]string{".workflows/b.yaml": action, ".workflows/a.yaml": "tasks: {a: {flow: {a: {action: ok}}}}"},
			want:  []string{"a"},
		},
		{
			name:  "one name in two files",
			files: map[string]string{".workflows/a.yaml": action, ".workflows/b.yaml": "\n" + action + "secrets: {a: 1}\n", ".workflows/c.yaml": "secrets: {a: 1}\n"},
			diags: []string{
				".workflows/b.yaml:2:11: error: 'ok' is defined twice in actions: here and in .workflows/a.yaml line 1",
				".workflows/c.yaml:1:11: error: 'a' is defined twice in secrets: here and in .workflows/b.yaml line 3",
			},
		},
		{
			name:  "every file's problems",
			files: map[string]string{".workflows/a.yaml": "task: {}", ".workflows/b.yaml": "a: [", ".workflows/c.yaml": "actions: {a: {type: shell}}"},
			diags: []string{
				".workflows/a.yaml:1:1: error: unknown key 'task' in a workflow file; did you mean 'tasks'?",
				".workflows/b.yaml:1:1: error: this is not valid YAML: did not find expected node content",
				".workflows/c.yaml:1:14: error: a shell action needs 'cmd' or 'script'",
			},
		},
		{
			name:  "too large",
			files: map[string]string{".workflows/a.yaml": strings.Repeat("#", 1<<20+1)},
			diags: []string{".workflows/a.yaml:1:1: error: the file has more than 1048576 bytes: split it"},
		},
		{
			name:  "as large as may be",
			files: map[string]string{".workflows/a.yaml": strings.Repeat("#", 1<<20)},
		},
		{
			name:  "encrypted",
			files: map[string]string{".workflows/a.sops.yaml": "secrets: {a: ENC}"},
			diags: []string{".workflows/a.sops.yaml:1:1: error: the file is encrypted by sops, which is not at hand here: put sops and its key where the workspace is loaded"},
		},
		{
			name: "scripts that are not there",
			files: map[string]string{
				"scripts/a.sh":      "",
				".workflows/a.yaml": "actions:\n  a: {type: shell, script: ./scripts/a.sh}\n  b: {type: shell, script: scripts/b.sh}\n  c: {type: shell, script: 'scripts/{{ input.x }}'}\n",
			},
			diags: []string{".workflows/a.yaml:3:28: warning: the script 'scripts/b.sh' does not exist in the workspace"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws, diags := workflow.Load(tree(c.files), workflow.Options{})
			require.Equal(t, c.diags, messages(diags))
			if len(diags.Errors()) > 0 {
				require.Nil(t, ws)
				require.ErrorContains(t, diags.Err(), c.diags[0])
				return
			}
			require.NoError(t, diags.Err())
			require.Len(t, ws.Tasks, len(c.want))
			for _, name := range c.want {
				require.Contains(t, ws.Tasks, name)
			}
		})
	}
}

func TestLoadMissingWorkspace(t *testing.T) {
	t.Parallel()
	_, diags := workflow.Load(fstest.MapFS{}, workflow.Options{})
	require.Empty(t, diags)
	_, diags = workflow.Load(missing{}, workflow.Options{})
	require.EqualError(t, diags.Err(), "error: the workspace does not exist")
}

func TestLoadDecrypts(t *testing.T) {
	t.Parallel()
	fsys := tree(map[string]string{".workflows/a.sops.yaml": "secrets: {a: ENC}"})
	ws, diags := workflow.Load(fsys, workflow.Options{Decrypt: func(name string, data []byte) ([]byte, error) {
		require.Equal(t, ".workflows/a.sops.yaml", name)
		return []byte(strings.ReplaceAll(string(data), "ENC", "plain")), nil
	}})
	require.Empty(t, diags)
	require.Equal(t, map[string]any{"a": "plain"}, ws.Secrets)

	_, diags = workflow.Load(fsys, workflow.Options{Decrypt: func(string, []byte) ([]byte, error) { return nil, errors.New("no key") }})
	require.EqualError(t, diags.Err(), ".workflows/a.sops.yaml:1:1: error: decrypt with sops: no key")
}

func TestLoadRendersSecrets(t *testing.T) {
	t.Parallel()
	render := func(secrets map[string]any) (map[string]any, error) {
		rendered, err := template.RenderValue(t.Context(), secrets, template.Context{"env": map[string]any{"TOKEN": "t0ken"}})
		m, _ := rendered.(map[string]any)
		return m, err
	}
	ws, diags := workflow.Parse("a.yaml", []byte("secrets: {a: {b: 'x-{{ env.TOKEN }}'}, n: 5}"), workflow.Options{RenderSecrets: render})
	require.Empty(t, diags)
	require.Equal(t, map[string]any{"a": map[string]any{"b": "x-t0ken"}, "n": int64(5)}, ws.Secrets)

	_, diags = workflow.Parse("a.yaml", []byte("secrets:\n  ok: 1\n  bad: {list: ['{{ env.NOPE }}']}"), workflow.Options{RenderSecrets: render})
	require.Len(t, diags, 1)
	require.ErrorContains(t, diags.Err(), "a.yaml:3:8: error: the secret cannot be rendered: bad.list[0]")
}

func TestSecretsAreCheckedWithoutTheirValues(t *testing.T) {
	t.Parallel()
	_, diags := workflow.Parse("a.yaml", []byte(`
secrets:
  fine: "{{ env.ANY }}"
  guarded: "{{ other | default: 'x' }}"
  deep: {list: [a, "{{ secret.fine }}"]}
  filter: "{{ env.ANY | nope }}"
`), workflow.Options{})
	require.Len(t, diags, 2)
	require.Equal(t, "a.yaml:5:24: warning: undefined name 'secret'; a secret knows env.<NAME> alone, a variable of the server that it is allowed to use",
		diags[0].String())
	require.Contains(t, diags[1].String(), `a.yaml:6:25: error: bad template: {{ env.ANY | nope }} there is no filter "nope"`)
}

func TestParseContent(t *testing.T) {
	t.Parallel()
	ws, diags := workflow.Parse("a.yaml", []byte(`
secrets: {code: 007, thousand: 1_000, day: 2026-01-31, hex: 0xff, n: 5, f: 1.50, yes: true, none: ~, list: [1, a]}
actions:
  a:
    type: shell
    cmd: 5
    tags: [1.10]
    env: {PORT: 5432, V: 1.10, B: true, E: , X: "", D: 2026-01-31}
    input: {n: {type: number, default: 5}}
    output: {properties: {x: {type: string}}}
    workspace: copy
    workdir: 10
  v: {type: acme.http, url: 5, deep: {a: [1]}}
tasks:
  t:
    mode: local
    folder: 2026
    timeout: 1h30m
    flow:
      s: {action: a, depends_on: [], input: {n: 5, s: "5", l: [a, 1.5]}, continue_on_failure: true, timeout: 1.5}
    on_error: [{action: a, input: {n: 1}}]
triggers:
  cron: {type: scheduler, cron: "* * * * *", timezone: UTC, task: t}
  hook: {type: webhook, name: 5, secret: 007, task: t, enabled: false, input: {a: 1}}
on_success: [{action: a}]
`), fixed)
	require.NoError(t, diags.Err())
	want := &core.Workspace{
		Secrets: map[string]any{
			"code": "007", "thousand": "1_000", "day": "2026-01-31", "hex": int64(255), "n": int64(5), "f": 1.5, "yes": true, "none": nil,
			"list": []any{int64(1), "a"},
		},
		Actions: map[string]*core.Action{
			"a": {
				Type: "shell", Tags: []string{"1.10"}, Workspace: "copy",
				Env:    map[string]string{"PORT": "5432", "V": "1.10", "B": "true", "E": "", "X": "", "D": "2026-01-31"},
				Input:  map[string]core.InputField{"n": {Type: "number", Default: int64(5)}},
				Output: map[string]any{"properties": map[string]any{"x": map[string]any{"type": "string"}}},
				Spec:   map[string]any{"cmd": "5", "workdir": "10"},
			},
			"v": {Type: "acme.http", Spec: map[string]any{"url": int64(5), "deep": map[string]any{"a": []any{int64(1)}}}},
		},
		Tasks: map[string]*core.Task{"t": {
			Mode: "local", Folder: "2026", Timeout: core.Duration(5400e9),
			Flow: map[string]core.FlowStep{"s": {
				Action: "a", DependsOn: []string{}, Input: map[string]any{"n": int64(5), "s": "5", "l": []any{"a", 1.5}},
				ContinueOnFailure: true, Timeout: core.Duration(1500e6),
			}},
			OnError: []core.Hook{{Action: "a", Input: map[string]any{"n": int64(1)}}},
		}},
		Triggers: map[string]*core.Trigger{
			"cron": {Type: "scheduler", Cron: "* * * * *", Timezone: "UTC", Task: "t", Enabled: true},
			"hook": {Type: "webhook", Name: "5", Secret: "007", Task: "t", Input: map[string]any{"a": int64(1)}},
		},
		OnSuccess: []core.Hook{{Action: "a"}},
	}
	require.Empty(t, cmp.Diff(want, ws))
}

func TestPluginTypes(t *testing.T) {
	t.Parallel()
	opts := workflow.Options{ActionTypes: []core.ActionType{
		{Name: "acme.http", SpecSchema: json.RawMessage(`{
			"type": "object", "required": ["url"], "additionalProperties": false,
			"properties": {"url": {"type": "string", "pattern": "^https?://"}, "retries": {"type": "integer", "maximum": 5}, "headers": {"type": "object"}},
			"dependentRequired": {"retries": ["headers"]}}`)},
		{Name: "acme.any"},
		{Name: "acme.broken", SpecSchema: json.RawMessage(`{"type": 5}`)},
		{Name: "acme.endless", SpecSchema: json.RawMessage(`{"$ref": "#"}`)},
		{Name: "acme.null", SpecSchema: json.RawMessage(`{"properties": {"a": null}}`)},
		{Name: "acme.tree", SpecSchema: json.RawMessage(`{
			"additionalProperties": false, "properties": {"name": {"type": "string"}, "child": {"$ref": "#"}}}`)},
		{Name: "shell", SpecSchema: json.RawMessage(`{"required": ["nothing"]}`)},
	}}
	_, diags := workflow.Parse("a.yaml", []byte(`actions:
  good: {type: acme.http, url: "http://a", retries: 5, headers: {a: 1}}
  later: {type: acme.http, url: "{{ input.url }}", retries: "{{ input.n }}"}
  url: {type: acme.http, url: ftp}
  missing: {type: acme.http}
  typo: {type: acme.http, url: "http://a", header: {}}
  kind: {type: acme.http, url: "http://a", retries: 9}
  whole: {type: acme.http, url: "http://a", retries: 1}
  near: {type: acme.htp}
  any: {type: acme.any, what: [ever]}
  builtin: {type: shell, cmd: a}
  runner: {type: acme.any, runner: pod}
  tree: {type: acme.tree, name: a, child: {child: {name: b}}}
  branch: {type: acme.tree, name: a, child: {child: {nam: b}}}
`), opts)
	require.Equal(t, []string{
		`warning: the plugin's schema for actions of type acme.broken cannot be used, so they are not checked: not a JSON schema: invalid value for "type": "5"`,
		`warning: the plugin's schema for actions of type acme.endless cannot be used, so they are not checked: not a JSON schema that can be used: the schema refers to itself`,
		`warning: the plugin's schema for actions of type acme.null cannot be used, so they are not checked: not a JSON schema: jsonschema: schema at /properties/a is nil`,
		`a.yaml:4:31: error: this value is not valid: pattern: "ftp" does not match regular expression "^https?://"`,
		`a.yaml:5:12: error: an action of type acme.http needs 'url'`,
		`a.yaml:6:44: error: unknown key 'header' in an action of type acme.http; did you mean 'headers'?`,
		`a.yaml:7:53: error: this value is not valid: maximum: 9/1 is greater than 5.000000`,
		`a.yaml:8:10: error: this value is not valid: dependentRequired["retries"]: missing properties ["headers"]`,
		`a.yaml:9:16: warning: no plugin that is known here runs actions of type 'acme.htp': their steps wait until a worker offers it; did you mean 'acme.http'?`,
		`a.yaml:12:36: error: 'runner' is for shell actions; an action of type acme.any has none`,
		`a.yaml:14:11: error: this value is not valid: unexpected additional properties ["nam"]`,
	}, messages(diags))
}

func TestTextIsBounded(t *testing.T) {
	t.Parallel()
	data := "x-a: &a '" + strings.Repeat("y", 500_000) + "'\nsecrets:\n  l: [" + strings.Repeat("*a,", 100) + "]\n"
	_, diags := workflow.Parse("a.yaml", []byte(data), fixed)
	require.Equal(t, []string{"a.yaml:1:6: error: the file has more than 16777216 bytes of text, counting what aliases repeat"}, messages(diags))
}

func TestSeverities(t *testing.T) {
	t.Parallel()
	_, diags := workflow.Parse("a.yaml", []byte("actions: {a: {type: acme.x}, b: {type: shell}}"), fixed)
	require.Len(t, diags, 2)
	require.Len(t, diags.Warnings(), 1)
	require.Len(t, diags.Errors(), 1)
	require.NoError(t, diags.Warnings().Err())
}

func TestDiagnosticsAreBounded(t *testing.T) {
	t.Parallel()
	_, diags := workflow.Parse("a.yaml", []byte("actions:\n"+strings.Repeat("  a: {}\n", 5_000)), fixed)
	require.Len(t, diags, 1_001)
	require.Equal(t, "error: 4000 more problems are not shown", diags[1_000].String())
}

// missing is a workspace that is not there.
type missing struct{}

func (missing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
