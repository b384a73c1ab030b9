package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/localimage"
)

// allowance is what a step may take longer than the bare container, in milliseconds.
const allowance = 150

// containers compares a step in a container with a container that is started without Strøm, in turns.
func containers(ctx context.Context, r *report, id, what, baseline string, bare, step func(context.Context) error) error {
	const n = 40
	var base, through []time.Duration
	for i := range n + 2 {
		for _, one := range []struct {
			run func(context.Context) error
			all *[]time.Duration
		}{{bare, &base}, {step, &through}} {
			// A kubelet looks at its containers once a second: without a pause each pod would begin at the same moment of that second.
			if err := wait(ctx, rand.N(time.Second)); err != nil {
				return err
			}
			start := time.Now()
			if err := one.run(ctx); err != nil {
				return err
			}
			if i >= 2 { // the first ones warm up
				*one.all = append(*one.all, time.Since(start))
			}
		}
	}
	base50, p50 := quantile(base, 0.5), quantile(through, 0.5)
	base95, p95 := quantile(base, 0.95), quantile(through, 0.95)
	r.add(result{
		ID: id, What: what, Baseline: fmt.Sprintf("%s p50 %.0f ms, p95 %.0f ms", baseline, base50, base95),
		Measured: fmt.Sprintf("p50 %.0f ms (%+.0f), p95 %.0f ms (%+.0f)", p50, p50-base50, p95, p95-base95),
		Target:   fmt.Sprintf("p50 ≤ +%d ms", allowance), Met: p50 <= base50+allowance,
		Figures: map[string]float64{"baseline_p50_ms": base50, "baseline_p95_ms": base95, "p50_ms": p50, "p95_ms": p95},
	})
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// containerImage is on the cluster, and is put onto the Docker engine.
const containerImage = engines.KubeBusybox

// inDocker measures a `true` step in a container beside `docker run` (C1).
func inDocker(ctx context.Context, bin string, r *report) error {
	host := os.Getenv(engines.DockerHost)
	if host == "" {
		return missing(engines.DockerHost)
	}
	if err := loadImage(ctx, host); err != nil {
		return err
	}
	b, err := newBoundary(ctx, bin, "runner-docker", map[string]any{"host": host})
	if err != nil {
		return err
	}
	defer func() { _ = b.close(ctx) }() // it has been measured
	return containers(ctx, r, "C1", "`true` in a container through host and docker plugin", "docker run --rm",
		func(ctx context.Context) error {
			return exec.CommandContext(ctx, "docker", "-H", host, "run", "--rm", containerImage, "true").Run()
		}, func(ctx context.Context) error { return b.container(ctx, "docker") })
}

func missing(variable string) error {
	return fmt.Errorf("%s is not set: make bench/containers starts what it names", variable)
}

// loadImage puts an image onto a Docker engine.
func loadImage(ctx context.Context, host string) error {
	var archive bytes.Buffer
	image := localimage.Image{Name: containerImage, Command: []string{"sh"}}
	if err := image.Write(ctx, &archive); err != nil {
		return err
	}
	load := exec.CommandContext(ctx, "docker", "-H", host, "load")
	load.Stdin = &archive
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("load an image: %w: %s", err, out)
	}
	return nil
}

// inPods measures a `true` step in a pod beside a pod that is made, watched and deleted by client-go (C2).
func inPods(ctx context.Context, bin string, r *report) error {
	file := os.Getenv(engines.Kubeconfig)
	if file == "" {
		return missing(engines.Kubeconfig)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	namespace, err := client.CoreV1().Namespaces().Create(ctx, &v1.Namespace{ObjectMeta: meta.ObjectMeta{GenerateName: "bench-"}}, meta.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() {
		_ = client.CoreV1().Namespaces().Delete(context.WithoutCancel(ctx), namespace.Name, meta.DeleteOptions{})
	}()
	b, err := newBoundary(ctx, bin, "runner-kube", map[string]any{"namespace": namespace.Name, "kubeconfig": file})
	if err != nil {
		return err
	}
	defer func() { _ = b.close(ctx) }() // it has been measured
	return containers(ctx, r, "C2", "`true` in a pod through host and kube plugin", "a bare pod",
		func(ctx context.Context) error { return barePod(ctx, client, namespace.Name) },
		func(ctx context.Context) error { return b.container(ctx, "pod") })
}

// barePod makes a pod, watches it until its container has ended, and deletes it.
func barePod(ctx context.Context, client kubernetes.Interface, namespace string) error {
	pods := client.CoreV1().Pods(namespace)
	made, err := pods.Create(ctx, &v1.Pod{
		ObjectMeta: meta.ObjectMeta{GenerateName: "bare-"},
		Spec: v1.PodSpec{
			RestartPolicy: v1.RestartPolicyNever,
			Containers:    []v1.Container{{Name: "main", Image: containerImage, Command: []string{"true"}}},
		},
	}, meta.CreateOptions{})
	if err != nil {
		return err
	}
	watch, err := pods.Watch(ctx, meta.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", made.Name).String(), ResourceVersion: made.ResourceVersion,
	})
	if err != nil {
		return err
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		// Its phase would follow a second later.
		if pod, ok := event.Object.(*v1.Pod); ok && len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].State.Terminated != nil {
			return pods.Delete(ctx, made.Name, meta.DeleteOptions{})
		}
	}
	return fmt.Errorf("the pod %s has not ended", made.Name)
}

// container runs `true` in a container of the image, as it is.
func (b *boundary) container(ctx context.Context, actionType string) error {
	id, dir, err := b.scratch()
	if err != nil {
		return err
	}
	spec, err := json.Marshal(map[string]any{"image": containerImage, "command": []string{"true"}})
	if err != nil {
		return err
	}
	runner, ok := b.host.Runner(actionType, "")
	if !ok {
		return fmt.Errorf("nobody runs actions of type %s: %+v", actionType, b.host.Plugins())
	}
	result, err := runner.Run(ctx, &pluginapi.RunRequest{
		RunID: "bench-" + id, Type: actionType, Spec: spec, ScratchDir: dir, StopGrace: time.Second,
		Labels: map[string]string{"job_id": "bench", "step": "true"},
	}, taken{io.Discard})
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("exit code %d: %s", result.ExitCode, result.Message)
	}
	return err
}
