package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stroem/stroem/pluginapi"
)

// refused are manifests, the field that is refused, and what would allow it; "" is nothing.
var refused = []struct{ manifest, field, key string }{
	{`{"metadata": {"namespace": "kube-system"}}`, "metadata.namespace", ""},
	{`{"metadata": {"name": "other"}}`, "metadata.name", ""},
	{`{"metadata": {"generateName": "x"}}`, "metadata.generateName", ""},
	{`{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}]}}`, "metadata.ownerReferences", ""},
	{`{"metadata": {"finalizers": ["x/y"]}}`, "metadata.finalizers", ""},
	{`{"metadata": {"labels": {"app": "web"}}}`, "metadata.labels[app]", ""},
	{`{"metadata": {"labels": {"stroem.io/run-id": "other"}}}`, "metadata.labels[stroem.io/run-id]", ""},
	{`{"metadata": {"labels": {"stroem.io/run-id": null}}}`, "metadata.labels[stroem.io/run-id]", ""},
	{`{"metadata": {"labels": {"team": "b"}}}`, "metadata.labels[team]", ""},
	{`{"metadata": {"labels": {"azure.workload.identity/use": "true"}}}`, "metadata.labels[azure.workload.identity/use]", "labels"},
	{`{"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/step": "unconfined"}}}`, "metadata.annotations[container.apparmor.security.beta.kubernetes.io/step]", "annotations"},
	{`{"metadata": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}}}`, "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]", "annotations"},
	{`{"metadata": {"annotations": {"iam.amazonaws.com/role": "admin"}}}`, "metadata.annotations[iam.amazonaws.com/role]", "annotations"},
	{`{"metadata": {"annotations": {"stroem.io/run-id": "other"}}}`, "metadata.annotations[stroem.io/run-id]", ""},
	{`{"kind": "Secret"}`, "kind", ""},
	{`{"apiVersion": "v2"}`, "apiVersion", ""},
	{`{"spec": {"hostNetwork": true}}`, "spec.hostNetwork", "host_network"},
	{`{"spec": {"hostPID": true}}`, "spec.hostPID", "host_pid"},
	{`{"spec": {"hostIPC": true}}`, "spec.hostIPC", "host_ipc"},
	{`{"spec": {"hostUsers": true}}`, "spec.hostUsers", "host_users"},
	{`{"spec": {"serviceAccountName": "admin"}}`, "spec.serviceAccountName", "service_account"},
	{`{"spec": {"serviceAccount": "admin"}}`, "spec.serviceAccount", "service_account"},
	{`{"spec": {"automountServiceAccountToken": true}}`, "spec.automountServiceAccountToken", "service_account"},
	{`{"spec": {"automountServiceAccountToken": null}}`, "spec.automountServiceAccountToken", "service_account"},
	{`{"spec": {"nodeName": "master"}}`, "spec.nodeName", "node_name"},
	{`{"spec": {"nodeSelector": {"pool": "control"}}}`, "spec.nodeSelector[pool]", ""},
	{`{"spec": {"nodeSelector": {"pool": null}}}`, "spec.nodeSelector[pool]", ""},
	{`{"spec": {"nodeSelector": null}}`, "spec.nodeSelector[pool]", ""},
	{`{"spec": {"tolerations": [{"operator": "Exists"}]}}`, "spec.tolerations", "tolerations"},
	{`{"spec": {"schedulerName": "mine"}}`, "spec.schedulerName", "scheduler_name"},
	{`{"spec": {"runtimeClassName": "runc"}}`, "spec.runtimeClassName", "runtime_class"},
	{`{"spec": {"priorityClassName": "system-node-critical"}}`, "spec.priorityClassName", "priority_class"},
	{`{"spec": {"priority": 2000000000}}`, "spec.priority", "priority_class"},
	{`{"spec": {"imagePullSecrets": [{"name": "other"}]}}`, "spec.imagePullSecrets", "secrets"},
	{`{"spec": {"restartPolicy": "Always"}}`, "spec.restartPolicy", ""},
	{`{"spec": {"restartPolicy": null}}`, "spec.restartPolicy", ""},
	{`{"spec": {"containers": [{"name": "step", "restartPolicy": "Always"}]}}`, "spec.containers[step].restartPolicy", ""},
	{`{"spec": {"containers": [{"name": "step", "restartPolicyRules": [{"action": "Restart"}]}]}}`, "spec.containers[step].restartPolicyRules", ""},
	{`{"spec": {"ephemeralContainers": [{"name": "x", "image": "x"}]}}`, "spec.ephemeralContainers", ""},
	{`{"spec": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "x"}]}}`, "spec.resourceClaims", "devices"},
	{`{"spec": {"securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "0"}]}}}`, "spec.securityContext.sysctls", "sysctls"},
	{`{"spec": {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}}`, "spec.securityContext.seLinuxOptions", "security_profiles"},
	{`{"spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}}`, "spec.securityContext.seccompProfile", "security_profiles"},
	{`{"spec": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}}`, "spec.securityContext.appArmorProfile", "security_profiles"},
	{`{"spec": {"securityContext": {"windowsOptions": {"hostProcess": true}}}}`, "spec.securityContext.windowsOptions", "privileged"},
	{`{"spec": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}}`, "spec.volumes[x].hostPath", "host_path"},
	{`{"spec": {"volumes": [{"name": "stroem-scratch", "emptyDir": null, "hostPath": {"path": "/"}}]}}`, "spec.volumes[stroem-scratch].hostPath", "host_path"},
	{`{"spec": {"volumes": [{"name": "x", "secret": {"secretName": "other"}}]}}`, "spec.volumes[x].secret", "secrets"},
	{`{"spec": {"volumes": [{"name": "stroem", "secret": {"items": null}}]}}`, "spec.volumes[stroem].secret", "secrets"},
	{`{"spec": {"volumes": [{"name": "x", "configMap": {"name": "other"}}]}}`, "spec.volumes[x].configMap", "config_maps"},
	{`{"spec": {"volumes": [{"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}}`, "spec.volumes[x].projected.sources[0].serviceAccountToken", "service_account"},
	{`{"spec": {"volumes": [{"name": "x", "projected": {"sources": [{"downwardAPI": {}}, {"secret": {"name": "other"}}]}}]}}`, "spec.volumes[x].projected.sources[1].secret", "secrets"},
	{`{"spec": {"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data"}}]}}`, "spec.volumes[x].persistentVolumeClaim", "persistent_volumes"},
	{`{"spec": {"volumes": [{"name": "x", "csi": {"driver": "secrets-store.csi.k8s.io"}}]}}`, "spec.volumes[x].csi", "volumes"},
	{`{"spec": {"volumes": [{"name": "x", "nfs": {"server": "a", "path": "/"}}]}}`, "spec.volumes[x].nfs", "volumes"},
	{`{"spec": {"volumes": [{"name": "x", "image": {"reference": "a"}}]}}`, "spec.volumes[x].image", "volumes"},
	{`{"spec": {"initContainers": [{"name": "workspace-init", "command": ["cat", "/stroem-init/curl"]}]}}`, "spec.initContainers[workspace-init].command", ""},
	{`{"spec": {"initContainers": [{"name": "workspace-init", "image": "evil"}]}}`, "spec.initContainers[workspace-init].image", ""},
	{`{"spec": {"initContainers": [{"name": "workspace-init", "env": [{"name": "LD_PRELOAD", "value": "/workspace/x"}]}]}}`, "spec.initContainers[workspace-init].env", ""},
	{`{"spec": {"initContainers": [{"name": "x", "image": "x", "securityContext": {"privileged": true}}]}}`, "spec.initContainers[x].securityContext.privileged", "privileged"},
	{`{"spec": {"initContainers": [{"name": "x", "image": "x", "volumeMounts": [{"name": "stroem-init", "mountPath": "/x"}]}]}}`, "spec.initContainers[x].volumeMounts[stroem-init]", ""},
}

// refusedOfContainers are the same for what any container may ask for.
var refusedOfContainers = []struct{ container, field, key string }{
	{`"securityContext": {"privileged": true}`, "securityContext.privileged", "privileged"},
	{`"securityContext": {"allowPrivilegeEscalation": true}`, "securityContext.allowPrivilegeEscalation", "privileged"},
	{`"securityContext": {"procMount": "Unmasked"}`, "securityContext.procMount", "privileged"},
	{`"securityContext": {"windowsOptions": {"hostProcess": true}}`, "securityContext.windowsOptions", "privileged"},
	{`"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}`, "securityContext.capabilities.add", "capabilities"},
	{`"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}`, "securityContext.capabilities.add", "capabilities"},
	{`"securityContext": {"seccompProfile": {"type": "Unconfined"}}`, "securityContext.seccompProfile", "security_profiles"},
	{`"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}`, "securityContext.seccompProfile", "security_profiles"},
	{`"securityContext": {"appArmorProfile": {"type": "Unconfined"}}`, "securityContext.appArmorProfile", "security_profiles"},
	{`"securityContext": {"seLinuxOptions": {"level": "s0"}}`, "securityContext.seLinuxOptions", "security_profiles"},
	{`"ports": [{"containerPort": 80, "hostPort": 80}]`, "ports[0].hostPort", "host_ports"},
	{`"ports": [{"name": "web", "containerPort": 80, "hostPort": 80}]`, "ports[web].hostPort", "host_ports"},
	{`"ports": [{"containerPort": 80, "hostIP": "0.0.0.0"}]`, "ports[0].hostIP", "host_ports"},
	{`"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "other", "key": "x"}}}]`, "env[X].valueFrom.secretKeyRef", "secrets"},
	{`"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "other", "key": "x"}}}]`, "env[X].valueFrom.configMapKeyRef", "config_maps"},
	{`"envFrom": [{"secretRef": {"name": "other"}}]`, "envFrom[0].secretRef", "secrets"},
	{`"envFrom": [{"configMapRef": {"name": "other"}}]`, "envFrom[0].configMapRef", "config_maps"},
	{`"volumeMounts": [{"name": "stroem-init", "mountPath": "/x"}]`, "volumeMounts[stroem-init]", ""},
	{`"volumeMounts": [{"name": "stroem-scratch", "mountPath": "/x", "mountPropagation": "Bidirectional"}]`, "volumeMounts[stroem-scratch].mountPropagation", "host_path"},
	{`"volumeDevices": [{"name": "disk", "devicePath": "/dev/sda"}]`, "volumeDevices", "devices"},
	{`"resources": {"claims": [{"name": "gpu"}]}`, "resources.claims", "devices"},
	{`"livenessProbe": {"httpGet": {"port": 80, "host": "169.254.169.254"}}`, "livenessProbe.httpGet.host", "host_network"},
	{`"startupProbe": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}`, "startupProbe.tcpSocket.host", "host_network"},
	{`"lifecycle": {"postStart": {"httpGet": {"port": 80, "host": "169.254.169.254"}}}`, "lifecycle.postStart.httpGet.host", "host_network"},
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	cases := refused
	for _, c := range refusedOfContainers {
		for kind, name := range map[string]string{"containers": stepContainer, "initContainers": "more"} {
			cases = append(cases, struct{ manifest, field, key string }{
				`{"spec": {"` + kind + `": [{"name": "` + name + `", ` + c.container + `}]}}`,
				"spec." + kind + "[" + name + "]." + c.field, c.key,
			}, struct{ manifest, field, key string }{ // beside one that is harmless
				`{"spec": {"` + kind + `": [{"name": "harmless"}, {"name": "` + name + `x", ` + c.container + `}]}}`,
				"spec." + kind + "[" + name + "x]." + c.field, c.key,
			})
		}
	}
	for _, c := range cases {
		_, _, err := shellPod(t, plainRunner(), c.manifest)
		require.Error(t, err, c.manifest)
		require.Equal(t, pluginapi.CodeDenied, pluginapi.CodeOf(err), "%s: %v", c.manifest, err)
		require.Contains(t, err.Error(), "manifest overrides: ")
		require.Contains(t, err.Error(), c.field+" ", c.manifest)
		allowing := plainRunner()
		if c.key == "" {
			allowing.config.Allow = allKeys(t)
			require.Contains(t, err.Error(), "may not be", c.manifest)
			_, _, err = shellPod(t, allowing, c.manifest)
			require.Error(t, err, "%s: nothing may allow this", c.manifest)
			continue
		}
		require.Contains(t, err.Error(), `"`+c.key+`" in allow`, c.manifest)
		allowing.config.Allow = []string{c.key}
		_, _, err = shellPod(t, allowing, c.manifest)
		require.NoError(t, err, c.manifest)
		// Without a cluster and without a value for templates, the same is found.
		problems, err := plainRunner().validate(&pluginapi.ValidateRequest{Type: typeShell, Runner: "pod", Spec: json.RawMessage(
			`{"cmd": ":", "manifest": ` + strings.Replace(c.manifest, `{`, `{"x-template": "{{ input.x }}", `, 1) + `}`)})
		require.NoError(t, err)
		require.Contains(t, problems.Error(), c.field, c.manifest)
	}
}

// allKeys are those of the configuration's schema.
func allKeys(t *testing.T) []string {
	t.Helper()
	var schema struct {
		Properties struct {
			Allow struct {
				Items struct{ Enum []string }
			}
		}
	}
	require.NoError(t, json.Unmarshal(configSchema, &schema))
	require.NotEmpty(t, schema.Properties.Allow.Items.Enum)
	return schema.Properties.Allow.Items.Enum
}

func TestEveryKeyOfAllowAllowsSomething(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, c := range refused {
		used[c.key] = true
	}
	for _, c := range refusedOfContainers {
		used[c.key] = true
	}
	for _, key := range allKeys(t) {
		require.True(t, used[key], "no case of the policy's tests has %q", key)
	}
}

// TestConfiguredPullPolicy is for those who let nobody use an image of a node without its registry's leave.
func TestConfiguredPullPolicy(t *testing.T) {
	t.Parallel()
	r := plainRunner()
	r.config.PullPolicy = corev1.PullAlways
	for _, list := range []string{"containers", "initContainers"} {
		for _, name := range []string{"step", "more"} {
			_, _, err := shellPod(t, r, `{"spec": {"`+list+`": [{"name": "`+name+`", "image": "x", "imagePullPolicy": "Never"}]}}`)
			require.ErrorContains(t, err, "spec."+list+"["+name+"].imagePullPolicy may not be set")
		}
	}
	_, pod, err := shellPod(t, r, `{"spec": {"containers": [{"name": "more", "image": "x:1"}, {"name": "same", "image": "x:1", "imagePullPolicy": "Always"}]}}`)
	require.NoError(t, err)
	r.complete(&pod.Spec)
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		require.Equal(t, corev1.PullAlways, c.ImagePullPolicy, c.Name)
		require.Equal(t, corev1.TerminationMessageFallbackToLogsOnError, c.TerminationMessagePolicy)
	}
}

func TestManifestsOfImages(t *testing.T) {
	t.Parallel()
	problems, err := plainRunner().validate(&pluginapi.ValidateRequest{Type: typePod, Spec: json.RawMessage(
		`{"image": "x", "manifest": {"spec": {"initContainers": []}}}`)})
	require.NoError(t, err)
	require.Empty(t, problems, "there is no download that it could remove")
}

func TestTemplatesAreNotJudgedBeforeTheyAreRendered(t *testing.T) {
	t.Parallel()
	problems, err := plainRunner().validate(&pluginapi.ValidateRequest{Type: typeShell, Runner: "pod", Spec: json.RawMessage(
		`{"cmd": ":", "manifest": {"spec": {"hostNetwork": "{{ input.x }}", "hostPID": true}}}`)})
	require.NoError(t, err)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Message, "spec.hostPID")
	require.Equal(t, "/manifest", problems[0].Path)
}
