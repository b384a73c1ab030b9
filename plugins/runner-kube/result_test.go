package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

func TestHowStepsEnd(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	impatient, _ := newTestRunner(t, map[string]any{"pending_timeout_secs": 4})
	for name, c := range map[string]struct {
		spec   map[string]any
		result pluginapi.Result // its message is a part of it
		err    string
		code   pluginapi.Code
	}{
		"exit 3": {spec: map[string]any{"cmd": "echo why; exit 3"}, result: pluginapi.Result{ExitCode: 3, Message: "why"}},
		"signal": {spec: map[string]any{"cmd": "kill -SEGV $$"}, result: pluginapi.Result{ExitCode: -1, Signal: "SIGSEGV"}},
		"oom": {
			spec:   map[string]any{"command": []string{"sh", "-c", "x=a; while :; do x=$x$x; done"}, "resources": map[string]any{"memory": "20Mi"}},
			result: pluginapi.Result{ExitCode: -1, Signal: "SIGKILL", OOMKilled: true, Message: "resources.memory"},
		},
		"bad command":    {spec: map[string]any{"entrypoint": []string{"/no/such"}}, result: pluginapi.Result{ExitCode: 127, Message: "/no/such"}},
		"not executable": {spec: map[string]any{"entrypoint": []string{"/etc/passwd"}}, result: pluginapi.Result{ExitCode: 126, Message: "permission denied"}},
		"deadline": {
			spec:   map[string]any{"cmd": "sleep 60", "manifest": map[string]any{"spec": map[string]any{"activeDeadlineSeconds": 3}}},
			result: pluginapi.Result{ExitCode: -1, Message: "activeDeadlineSeconds"},
		},
		"bad image name": {spec: map[string]any{"image": "No:Such:Name"}, err: "InvalidImageName", code: pluginapi.CodePrecondition},
		"missing image":  {spec: map[string]any{"image": "k8stest.local/missing:1"}, err: "k8stest.local/missing:1", code: pluginapi.CodeUnavailable},
		"missing image beside a side-car": {
			spec: map[string]any{"image": "k8stest.local/missing:1", "manifest": map[string]any{"spec": map[string]any{"initContainers": []any{
				map[string]any{"name": "side", "image": busybox, "command": []string{"sleep", "600"}, "restartPolicy": "Always"},
			}}}}, err: "k8stest.local/missing:1", code: pluginapi.CodeUnavailable,
		},
		"no pulling": {
			spec: map[string]any{"image": "k8stest.local/missing:1", "manifest": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "step", "imagePullPolicy": "Never"}},
			}}}, err: "ErrImageNeverPull", code: pluginapi.CodePrecondition,
		},
		"no node": {
			spec: map[string]any{"cmd": ":", "manifest": map[string]any{"spec": map[string]any{"nodeSelector": map[string]any{"no": "node"}}}},
			err:  "didn't match Pod's node affinity/selector", code: pluginapi.CodeUnavailable,
		},
		"refused": {
			spec: map[string]any{"cmd": ":", "manifest": map[string]any{"spec": map[string]any{"hostNetwork": true}}},
			err:  "spec.hostNetwork is refused", code: pluginapi.CodeDenied,
		},
		"invalid pod": {
			spec: map[string]any{"cmd": ":", "manifest": map[string]any{"spec": map[string]any{"volumes": []any{map[string]any{"name": "NO"}}}}},
			err:  "manifest overrides", code: pluginapi.CodeInvalid,
		},
		"init fails": {
			spec: map[string]any{"cmd": ":", "manifest": map[string]any{"spec": map[string]any{"initContainers": []any{
				map[string]any{"name": "first", "image": busybox, "command": []string{"sh", "-c", "echo oh no; exit 5"}},
			}}}}, err: "the init container first ended with exit code 5: oh no", code: pluginapi.CodeInternal,
		},
		"side-car": {
			spec: map[string]any{"cmd": "exit 4", "manifest": map[string]any{"spec": map[string]any{"containers": []any{
				map[string]any{"name": "side", "image": busybox, "command": []string{"sleep", "600"}},
			}}}}, result: pluginapi.Result{ExitCode: 4},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := r
			if c.code == pluginapi.CodeUnavailable { // it waits in vain
				r = impatient
			}
			result, out, err := run(t, r, request(t, c.spec, nil))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				require.Equal(t, c.code, pluginapi.CodeOf(err), "%v", err)
				return
			}
			require.NoError(t, err)
			require.Contains(t, result.Message, c.result.Message)
			result.Message = c.result.Message
			if name == "deadline" {
				result.Signal = "" // of the way in which it was ended
			}
			require.Equal(t, &c.result, result, stdout(out))
		})
	}
}
