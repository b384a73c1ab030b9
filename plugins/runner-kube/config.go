package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/stroem/stroem/pluginapi"
)

var (
	//go:embed schema/config.json
	configSchema []byte
	//go:embed schema/shell-pod.json
	shellSchema []byte
	//go:embed schema/pod.json
	podSchema []byte
)

// config is what the operator may set; schema/config.json says what each key means.
type config struct {
	Namespace        string              `json:"namespace"`
	Kubeconfig       string              `json:"kubeconfig"`
	Context          string              `json:"context"`
	InitImage        string              `json:"init_image"`
	RunnerImage      string              `json:"runner_image"`
	StartupConfigMap string              `json:"runner_startup_configmap"`
	ServiceAccount   string              `json:"service_account"`
	PendingSecs      int                 `json:"pending_timeout_secs"`
	PullPolicy       corev1.PullPolicy   `json:"image_pull_policy"`
	PullSecrets      []string            `json:"image_pull_secrets"`
	NodeSelector     map[string]string   `json:"node_selector"`
	Tolerations      []corev1.Toleration `json:"tolerations"`
	PodLabels        map[string]string   `json:"pod_labels"`
	PodAnnotations   map[string]string   `json:"pod_annotations"`
	ServerCAFile     string              `json:"server_ca_file"`
	Allow            []string            `json:"allow"`
}

// Images for what says nothing else.
const (
	defaultInitImage = "curlimages/curl:latest"
	defaultImage     = "alpine:latest"
)

func parseConfig(settings json.RawMessage) (config, error) {
	cfg := config{InitImage: defaultInitImage, PendingSecs: 600}
	decoder := json.NewDecoder(bytes.NewReader(settings))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&cfg); err != nil {
		return cfg, pluginapi.Errorf(pluginapi.CodeInvalid, "read config: %w", err)
	}
	return cfg, nil
}

func (c *config) pendingLimit() time.Duration { return time.Duration(c.PendingSecs) * time.Second }

func (c *config) allows(key string) bool { return slices.Contains(c.Allow, key) }
