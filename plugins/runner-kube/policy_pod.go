package main

import (
	"maps"
	"slices"
)

// podShape is what a manifest may say of a pod.
var podShape = object{
	"metadata": object{
		"labels":      dictionary{mark{key: "labels"}},
		"annotations": dictionary{mark{key: "annotations", harmless: harmlessAnnotations}},
	},
	"spec": object{
		"containers":     list{each: containerShape, names: map[string]shape{stepContainer: stepContainerShape}},
		"initContainers": list{each: containerShape, names: map[string]shape{initContainer: ownContainerShape}},
		"volumes":        list{each: volumeShape},

		"activeDeadlineSeconds":         free{},
		"terminationGracePeriodSeconds": free{},
		"enableServiceLinks":            free{},
		"shareProcessNamespace":         free{},
		"readinessGates":                free{},
		"schedulingGates":               free{},
		"os":                            free{},
		"resources":                     object{"requests": free{}, "limits": free{}, "claims": only("devices")},
		"dnsPolicy":                     free{},
		"dnsConfig":                     free{},
		"hostAliases":                   free{},
		"hostname":                      free{},
		"subdomain":                     free{},
		"setHostnameAsFQDN":             free{},

		"nodeSelector":              dictionary{added{}},
		"affinity":                  free{},
		"topologySpreadConstraints": free{},
		"tolerations":               only("tolerations"),
		"nodeName":                  only("node_name"),
		"schedulerName":             only("scheduler_name"),
		"runtimeClassName":          only("runtime_class"),
		"overhead":                  only("runtime_class"),
		"priorityClassName":         only("priority_class"),
		"priority":                  only("priority_class"),
		"preemptionPolicy":          only("priority_class"),
		"resourceClaims":            only("devices"),

		"serviceAccountName":           only("service_account"),
		"serviceAccount":               only("service_account"),
		"automountServiceAccountToken": only("service_account", false),
		"imagePullSecrets":             only("secrets"),

		"hostNetwork":      only("host_network", false),
		"hostPID":          only("host_pid", false),
		"hostIPC":          only("host_ipc", false),
		"hostUsers":        only("host_users", false),
		"hostnameOverride": only("host_network"),

		"securityContext": object{
			"runAsUser": free{}, "runAsGroup": free{}, "runAsNonRoot": free{}, "fsGroup": free{}, "fsGroupChangePolicy": free{},
			"supplementalGroups": free{}, "supplementalGroupsPolicy": free{},
			"seccompProfile": profile, "appArmorProfile": profile,
			"seLinuxOptions": only("security_profiles"), "seLinuxChangePolicy": only("security_profiles"),
			"sysctls": only("sysctls"), "windowsOptions": only("privileged"),
		},
	},
}

// containerShape is what a manifest may say of the step's container and of those that it adds.
var containerShape = object{
	"name": free{}, "image": free{}, "command": free{}, "args": free{}, "workingDir": free{}, "imagePullPolicy": pullPolicy{},
	"stdin": free{}, "stdinOnce": free{}, "tty": free{}, "terminationMessagePath": free{}, "terminationMessagePolicy": free{},
	"resizePolicy": free{}, "restartPolicy": free{}, "restartPolicyRules": free{},
	"resources":      object{"requests": free{}, "limits": free{}, "claims": only("devices")},
	"env":            list{each: object{"name": free{}, "value": free{}, "valueFrom": valueFromShape}},
	"envFrom":        list{each: object{"prefix": free{}, "secretRef": only("secrets"), "configMapRef": only("config_maps")}},
	"ports":          list{each: object{"name": free{}, "containerPort": free{}, "protocol": free{}, "hostPort": only("host_ports"), "hostIP": only("host_ports")}},
	"volumeMounts":   list{each: mountShape, names: map[string]shape{volumeInit: needs{}}},
	"volumeDevices":  only("devices"),
	"livenessProbe":  probeShape,
	"readinessProbe": probeShape,
	"startupProbe":   probeShape,
	"lifecycle":      object{"postStart": probeShape, "preStop": probeShape, "stopSignal": free{}},

	"securityContext": containerSecurity,
}

// stepContainerShape is for the container whose end is the step's: it runs once.
var stepContainerShape = func() object {
	shape := maps.Clone(containerShape)
	delete(shape, "restartPolicy")
	delete(shape, "restartPolicyRules")
	return shape
}()

// ownContainerShape is for the container that downloads the workspace, and that has the token for it.
var ownContainerShape = object{
	"resources":       object{"requests": free{}, "limits": free{}, "claims": only("devices")},
	"securityContext": containerSecurity,
}

var containerSecurity = object{
	"runAsUser": free{}, "runAsGroup": free{}, "runAsNonRoot": free{}, "readOnlyRootFilesystem": free{},
	"allowPrivilegeEscalation": only("privileged", false),
	"privileged":               only("privileged", false),
	"procMount":                only("privileged", "Default"),
	"windowsOptions":           only("privileged"),
	"capabilities":             object{"drop": free{}, "add": only("capabilities")},
	"seccompProfile":           profile,
	"appArmorProfile":          profile,
	"seLinuxOptions":           only("security_profiles"),
}

// profile is one that restricts; the others switch it off or are the node's.
var profile = only("security_profiles", map[string]any{"type": "RuntimeDefault"})

var valueFromShape = object{
	"fieldRef": free{}, "resourceFieldRef": free{}, "fileKeyRef": free{},
	"secretKeyRef": only("secrets"), "configMapKeyRef": only("config_maps"),
}

var mountShape = object{
	"name": free{}, "mountPath": free{}, "subPath": free{}, "subPathExpr": free{}, "readOnly": free{}, "recursiveReadOnly": free{},
	"mountPropagation": only("host_path", "None"),
}

// probeShape is for what the kubelet calls: in the container that is fine, but an address of its own is called from the node.
var probeShape = object{
	"exec": free{}, "grpc": free{}, "sleep": free{},
	"httpGet":             object{"path": free{}, "port": free{}, "scheme": free{}, "httpHeaders": free{}, "host": only("host_network")},
	"tcpSocket":           object{"port": free{}, "host": only("host_network")},
	"initialDelaySeconds": free{}, "timeoutSeconds": free{}, "periodSeconds": free{}, "successThreshold": free{},
	"failureThreshold": free{}, "terminationGracePeriodSeconds": free{},
}

// volumeShape lists the kinds of volumes; all that are not here are "volumes".
var volumeShape = volume{object{
	"name": free{}, "emptyDir": free{}, "downwardAPI": free{},
	"configMap":             only("config_maps"),
	"secret":                only("secrets"),
	"hostPath":              only("host_path"),
	"persistentVolumeClaim": only("persistent_volumes"),
	"ephemeral":             only("persistent_volumes"),
	"projected": object{
		"defaultMode": free{},
		"sources": list{each: object{
			"downwardAPI": free{}, "configMap": only("config_maps"), "secret": only("secrets"),
			"serviceAccountToken": only("service_account"), "podCertificate": only("service_account"),
			"clusterTrustBundle": only("volumes"),
		}},
	},
}}

// volume is an object in which keys without a rule are further kinds of volumes.
type volume struct{ known object }

func (v volume) judge(p *policy, path string, base, value any) {
	before, _ := base.(map[string]any)
	after, _ := value.(map[string]any)
	for _, key := range sortedKeys(before, after) {
		rule := v.known[key]
		if rule == nil {
			rule = only("volumes")
		}
		if !p.same(before[key], after[key]) {
			rule.judge(p, join(path, key), before[key], after[key])
		}
	}
}

// pullPolicy is free unless the configuration has one.
type pullPolicy struct{}

func (pullPolicy) judge(p *policy, path string, _, value any) {
	if configured := string(p.config.PullPolicy); configured != "" && value != configured {
		p.refuse(path, "")
	}
}

// added is for keys that a manifest may add, and must not change or remove.
type added struct{}

func (added) judge(p *policy, path string, base, _ any) {
	if base != nil {
		p.refuse(path, "")
	}
}

// mark is for labels and annotations: many a program gives rights by them, or sends requests to what has them. Those of the
// runner and of its configuration stay.
type mark struct {
	key      string
	harmless []string
}

var harmlessAnnotations = []string{
	"cluster-autoscaler.kubernetes.io/safe-to-evict", "karpenter.sh/do-not-disrupt", "kubectl.kubernetes.io/default-container",
}

func (m mark) judge(p *policy, path string, base, value any) {
	isHarmless := func(name string) bool { return path == "metadata."+m.key+"["+name+"]" }
	switch {
	case base != nil:
		p.refuse(path, "")
	case !slices.ContainsFunc(m.harmless, isHarmless):
		only(m.key).judge(p, path, base, value)
	}
}
