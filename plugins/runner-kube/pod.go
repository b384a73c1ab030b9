package main

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

// Names in a pod.
const (
	stepContainer = "step"
	initContainer = "workspace-init"

	volumeWorkspace = "workspace"
	volumeFiles     = "stroem"
	volumeScratch   = "stroem-scratch"
	volumeInit      = "stroem-init"
	volumeStartup   = "startup-scripts"
)

// basePod is the pod of a run before the manifest of the action is merged into it.
func (r *runner) basePod(req *pluginapi.RunRequest, s *spec, c *contents) (*corev1.Pod, error) {
	limits, err := s.Resources.requirements()
	if err != nil {
		return nil, err
	}
	labels, annotations := marks(req.RunID, req.Labels)
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: podName(req.RunID, req.Labels), Labels: with(r.config.PodLabels, labels),
			Annotations: with(r.config.PodAnnotations, annotations),
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			ServiceAccountName:            r.config.ServiceAccount,
			AutomountServiceAccountToken:  new(r.config.ServiceAccount != ""),
			EnableServiceLinks:            new(false), // no variables for each service of the namespace
			TerminationGracePeriodSeconds: new(graceSeconds(req.StopGrace)),
			NodeSelector:                  maps.Clone(r.config.NodeSelector),
			Tolerations:                   r.config.Tolerations,
		},
	}
	for _, name := range r.config.PullSecrets {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	step := corev1.Container{
		Name: stepContainer, Image: r.image(req.Type, s), ImagePullPolicy: r.config.PullPolicy, Env: c.env, Resources: limits,
	}
	s.launch(req.Type, &step)
	if req.Type == typePod {
		step.WorkingDir = s.Workdir
	}
	r.addFiles(req, &pod.Spec, &step, c)
	if req.Type == typeShell {
		r.addWorkspace(req, &pod.Spec, &step, c)
	}
	pod.Spec.Containers = []corev1.Container{step}
	return pod, nil
}

func (r *runner) image(actionType string, s *spec) string {
	switch {
	case actionType == typeShell && r.config.RunnerImage != "":
		return r.config.RunnerImage
	case s.Image != "":
		return s.Image
	default:
		return defaultImage
	}
}

// addFiles mounts what every step has.
func (r *runner) addFiles(req *pluginapi.RunRequest, pod *corev1.PodSpec, step *corev1.Container, c *contents) {
	if items := c.files(keyCmd, keyStart, keyInput); len(items) > 0 {
		addVolume(pod, volumeFiles, secretSource(req.RunID, items))
		mount(step, volumeFiles, stroemDir, true)
	}
	addVolume(pod, volumeScratch, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	mount(step, volumeScratch, scratchDir, false)
	if r.config.StartupConfigMap != "" {
		addVolume(pod, volumeStartup, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: r.config.StartupConfigMap}, DefaultMode: new(int32(0o755)),
		}})
		mount(step, volumeStartup, startupDir, true)
	}
}

// addWorkspace lets an init container unpack the workspace, which alone sees the token.
func (r *runner) addWorkspace(req *pluginapi.RunRequest, pod *corev1.PodSpec, step *corev1.Container, c *contents) {
	addVolume(pod, volumeWorkspace, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	addVolume(pod, volumeInit, secretSource(req.RunID, c.files(keyInit, keyCurl, keyCA)))
	step.WorkingDir = workspaceDir
	mount(step, volumeWorkspace, workspaceDir, !req.Workspace.Writable)
	first := corev1.Container{
		Name: initContainer, Image: r.config.InitImage, ImagePullPolicy: r.config.PullPolicy,
		Command: []string{"sh", initDir + "/" + keyInit},
	}
	mount(&first, volumeInit, initDir, true)
	mount(&first, volumeWorkspace, workspaceDir, false)
	pod.InitContainers = []corev1.Container{first}
}

// complete is for all containers, also those that a manifest adds: Kubernetes keeps the last lines of what fails, and pulls
// images as it is configured.
func (r *runner) complete(pod *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			if containers[i].ImagePullPolicy == "" {
				containers[i].ImagePullPolicy = r.config.PullPolicy
			}
			if containers[i].TerminationMessagePolicy == "" {
				containers[i].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
			}
		}
	}
}

// secretSource is a volume of some of the run's Secret. Any user of the container may read it, whoever that is.
func secretSource(runID string, items []corev1.KeyToPath) corev1.VolumeSource {
	return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: secretName(runID), Items: items, DefaultMode: new(int32(0o444)),
	}}
}

func addVolume(pod *corev1.PodSpec, name string, source corev1.VolumeSource) {
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: source})
}

func mount(c *corev1.Container, volume, path string, readOnly bool) {
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: path, ReadOnly: readOnly})
}

// with adds ours to what is configured, and wins.
func with(configured, ours map[string]string) map[string]string {
	all := maps.Clone(ours)
	for key, value := range configured {
		if _, is := all[key]; !is {
			all[key] = value
		}
	}
	return all
}

// graceSeconds rounds up. Zero would mean that Kubernetes forgets the pod before it has ended.
func graceSeconds(grace time.Duration) int64 {
	return max(1, int64((grace+time.Second-1)/time.Second))
}
