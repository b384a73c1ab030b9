package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

// Keys of a run's Secret. Variables have keys of their own, because not every name may be one.
const (
	keyCmd   = "cmd"
	keyStart = "start"
	keyInput = "input.json"
	keyCurl  = "curl"
	keyInit  = "init"
	keyCA    = "ca.pem"
	keyEnv   = "env-"
)

// contents is what a run's Secret holds, and what refers to it.
type contents struct {
	data    map[string][]byte
	env     []corev1.EnvVar // of the container step
	refused []string        // names that cannot be variables in a pod
}

var variableName = regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]*$`)

// gather collects what of a run may be secret.
func (r *runner) gather(req *pluginapi.RunRequest, s *spec) (*contents, error) {
	c := &contents{data: map[string][]byte{}}
	if s.Cmd != "" {
		c.data[keyCmd] = []byte(s.Cmd)
	}
	c.variables(req)
	if err := c.input(req.ScratchDir); err != nil {
		return nil, err
	}
	if s.launches(req.Type) {
		c.data[keyStart] = []byte(s.launcher(req.Type))
	}
	if req.Type == typeShell {
		if err := c.download(req, r.config.ServerCAFile); err != nil {
			return nil, err
		}
	} else if s.Cmd != "" && len(s.Entrypoint) > 0 && len(s.Command) == 0 {
		c.env = append(c.env, fromSecret(req.RunID, commandVariable, keyCmd))
	}
	size := 0
	for _, value := range c.data {
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid,
			"the environment, the command and the input of the step have %d bytes together; a pod can be given %d: pass large values in files of the workspace",
			size, corev1.MaxSecretSize)
	}
	return c, nil
}

// variables takes in the step's environment. Those that name places on the worker name places in the container.
func (c *contents) variables(req *pluginapi.RunRequest) {
	env := maps.Clone(req.Env)
	for _, name := range []string{"STROEM_INPUT", "STROEM_SCRATCH", "TMPDIR"} {
		delete(env, name)
	}
	for i, name := range slices.Sorted(maps.Keys(env)) {
		if !variableName.MatchString(name) {
			c.refused = append(c.refused, name)
			continue
		}
		key := keyEnv + strconv.Itoa(i)
		c.data[key] = []byte(env[name])
		c.env = append(c.env, fromSecret(req.RunID, name, key))
	}
	c.env = append(c.env, corev1.EnvVar{Name: "STROEM_SCRATCH", Value: scratchDir}, corev1.EnvVar{Name: "TMPDIR", Value: scratchDir})
}

// input takes in the file with the whole input, where the host has written one.
func (c *contents) input(scratch string) error {
	if scratch == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(scratch, "input.json")) //nolint:gosec // the host's own file
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return pluginapi.Errorf(pluginapi.CodeInternal, "read the input: %w", err)
	}
	c.data[keyInput] = text
	c.env = append(c.env, corev1.EnvVar{Name: "STROEM_INPUT", Value: inputFile})
	return nil
}

// download takes in what workspace-init needs.
func (c *contents) download(req *pluginapi.RunRequest, caFile string) error {
	if req.Workspace.URL == "" {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "the run has no address from which its workspace could be downloaded")
	}
	c.data[keyInit] = []byte(unpack)
	if req.Workspace.Writable {
		c.data[keyInit] = []byte(unpack + writable)
	}
	c.data[keyCurl] = []byte(curlConfig(req.Workspace.URL, req.Workspace.Token, caFile != ""))
	if caFile == "" {
		return nil
	}
	authorities, err := os.ReadFile(caFile) //nolint:gosec // the operator names it
	if err != nil {
		return pluginapi.Errorf(pluginapi.CodePrecondition, "read server_ca_file: %w", err)
	}
	c.data[keyCA] = authorities
	return nil
}

// secret is the object. It cannot be changed, so that kubelets need not watch it.
func (c *contents) secret(req *pluginapi.RunRequest) *corev1.Secret {
	labels, annotations := marks(req.RunID, req.Labels)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretName(req.RunID), Labels: labels, Annotations: annotations},
		Type:       corev1.SecretTypeOpaque, Immutable: new(true), Data: c.data,
	}
}

// files are those keys that are files in a container.
func (c *contents) files(keys ...string) []corev1.KeyToPath {
	var items []corev1.KeyToPath
	for _, key := range keys {
		if c.data[key] != nil {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
	}
	return items
}

func fromSecret(runID, name, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: secretName(runID)}, Key: key,
	}}}
}
