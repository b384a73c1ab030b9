package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

func TestWritableWorkspace(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{workspaceBind, workspaceVolume} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f := setup(t, typeShell, doc{"cmd": "echo more >>file; cat file"}, doc{"workspace": mode})
			f.files(t, map[string]string{"file": "text\n"})
			f.req.Workspace.Writable = true
			f.want(t, outcome{stdout: "text\nmore\n"})
		})
	}
}

func TestVolumeWorkspace(t *testing.T) {
	t.Parallel()
	f := setup(t, typeShell, doc{
		"image": testImage(t, "USER nobody", "VOLUME /data"),
		"cmd":   "cat sub/file; bin/tool; readlink out; readlink gone; cat link; touch x 2>/dev/null || echo refused; stat -c %a sub/private bin/tool",
	}, doc{"workspace": "volume"})
	f.files(t, map[string]string{"sub/file": "text\n", "bin/tool": "#!/bin/sh\necho tool\n", "sub/private": "x"})
	dir := f.req.Workspace.Dir
	require.NoError(t, os.Chmod(filepath.Join(dir, "sub/private"), 0o600))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "out")))
	require.NoError(t, os.Symlink("../../gone", filepath.Join(dir, "gone")))
	require.NoError(t, os.Symlink("sub/file", filepath.Join(dir, "link")))
	f.want(t, outcome{stdout: "text\ntool\n/etc/hostname\n../../gone\ntext\nrefused\n444\n555\n"})
}

// TestDirectoryThatTheEngineDoesNotHave stands for an engine with files of its own.
func TestDirectoryThatTheEngineDoesNotHave(t *testing.T) {
	t.Parallel()
	api, image, dir := engine(t), testImage(t), filepath.Join(t.TempDir(), "none")
	for mode, want := range map[string]string{
		workspaceBind: "the engine does not see the workspace at " + dir, // which is all that it says
		workspaceAuto: "copy the workspace",                              // it went on to copying, for which there has to be one
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newTestRunner()
			require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, doc{"workspace": mode})}))
			defer func() { require.NoError(t, r.Close()) }()
			s, err := parseSpec(typeShell, json.RawMessage(`{"cmd": "true", "image": "`+image+`"}`))
			require.NoError(t, err)
			named, err := s.image(typeShell, r.cfg)
			require.NoError(t, err)
			id := newRunID()
			l := &launch{runner: r, spec: s, image: named, name: name(id, nil), out: plugintest.NewRecorder(), req: &pluginapi.RunRequest{
				RunID: id, Type: typeShell, Workspace: pluginapi.Workspace{Dir: dir},
			}}
			err = l.prepare(t.Context())
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "does not answer", "it is not the engine's fault")
			require.NoDirExists(t, dir)
			r.tidy(t.Context(), id)
			nothingLeft(t, api, id)
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		actionType string
		spec       doc
		more       doc
		code       pluginapi.Code
		text       string
	}{
		"no script":           {typeShell, doc{"script": "none.sh"}, nil, pluginapi.CodeInvalid, `script "none.sh" does not exist in the workspace`},
		"script is outside":   {typeShell, doc{"script": "../x"}, nil, pluginapi.CodeInvalid, `has to be a path inside the workspace`},
		"script is a link":    {typeShell, doc{"script": "link"}, nil, pluginapi.CodeInvalid, `has to be a path inside the workspace`},
		"workdir is outside":  {typeShell, doc{"cmd": "true", "workdir": "../x"}, nil, pluginapi.CodeInvalid, "/workdir: workdir has to be a path inside the workspace"},
		"workdir is absolute": {typeShell, doc{"cmd": "true", "workdir": "/etc"}, nil, pluginapi.CodeInvalid, "/workdir"},
		"no workdir":          {typeShell, doc{"cmd": "true", "workdir": "none"}, nil, pluginapi.CodeInvalid, `workdir "none" does not exist`},
		"nothing to do":       {typeShell, doc{}, nil, pluginapi.CodeInvalid, "neither cmd nor script is set"},
		"privileged":          {typeDocker, doc{"privileged": true}, nil, pluginapi.CodeInvalid, `unknown field "privileged"`},
		"user":                {typeDocker, doc{"user": "root"}, nil, pluginapi.CodeInvalid, `unknown field "user"`},
		"mounts":              {typeDocker, doc{"mounts": []string{"/:/host"}}, nil, pluginapi.CodeInvalid, `unknown field "mounts"`},
		"network":             {typeShell, doc{"cmd": "true", "network": "host"}, nil, pluginapi.CodeInvalid, `unknown field "network"`},
		"bad image":           {typeDocker, doc{"image": "Not An Image"}, nil, pluginapi.CodeInvalid, "/image: image is no reference of an image"},
		"bad memory":          {typeDocker, doc{"resources": doc{"memory": "lots"}}, nil, pluginapi.CodeInvalid, `resources.memory "lots"`},
		"bad cpu":             {typeDocker, doc{"resources": doc{"cpu": "-1"}}, nil, pluginapi.CodeInvalid, `resources.cpu "-1"`},
		"relative workdir":    {typeDocker, doc{"workdir": "x"}, nil, pluginapi.CodeInvalid, "/workdir: workdir has to be an absolute path"},
		"no command":          {typeDocker, doc{}, nil, pluginapi.CodeInvalid, "the image has no command of its own"},
		"no network":          {typeDocker, doc{"cmd": "true"}, doc{"networks": []string{"no-such"}}, pluginapi.CodeNotFound, "network no-such not found"},
		"missing image": {
			typeDocker,
			doc{"image": "no-such-image:1"},
			doc{"pull_policy": "never"},
			pluginapi.CodeNotFound,
			`the image "no-such-image:1" does not exist on the engine, and pull_policy is never`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.actionType, test.spec, test.more)
			if test.actionType == typeShell {
				require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(f.req.Workspace.Dir, "link")))
			}
			_, err := f.runner.Run(t.Context(), f.req, f.out)
			require.ErrorContains(t, err, test.text)
			require.Equal(t, test.code, pluginapi.CodeOf(err))
		})
	}
}
