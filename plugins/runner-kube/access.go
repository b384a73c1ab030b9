package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	authv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

// right is a kind of objects, and what the runner does with them.
type right struct {
	resource, subresource string
	verbs                 []string
}

// needed is all that the runner does. Secrets are never read: their names follow from the run's id.
var needed = []right{
	{"pods", "", []string{"create", "get", "list", "watch", "delete"}},
	{"pods", "log", []string{"get"}},
	{"secrets", "", []string{"create", "patch", "delete"}},
	{"events", "", []string{"watch"}},
}

func (r right) name() string {
	if r.subresource != "" {
		return r.resource + "/" + r.subresource
	}
	return r.resource
}

// accessLimit is for all that is asked about rights.
const accessLimit = 2500 * time.Millisecond

// errUnreachable is wrapped by errors of an API server that could not be asked.
var errUnreachable = errors.New("does not answer")

// checkAccess says what is missing: an error with CodeInvalid, or one that wraps errUnreachable.
func (c *cluster) checkAccess(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, accessLimit)
	defer cancel()
	_, err := c.core.Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return pluginapi.Errorf(pluginapi.CodeInvalid, "the namespace %s does not exist on %s", c.namespace, c.address)
	case apierrors.IsUnauthorized(err):
		return pluginapi.Errorf(pluginapi.CodeInvalid, "%s does not accept the credentials: mend the kubeconfig, or the service account of the worker's pod", c.address)
	case err != nil && !apierrors.IsForbidden(err): // who may not look at the namespace learns of it later
		return fmt.Errorf("the API server %s %w: %w", c.address, errUnreachable, err)
	}
	missing, err := c.missing(ctx)
	if err != nil {
		return fmt.Errorf("the API server %s %w: %w", c.address, errUnreachable, err)
	}
	if len(missing) > 0 {
		return pluginapi.Errorf(pluginapi.CodeInvalid,
			"in the namespace %s these rights are missing: %s; apply this Role and bind it to the worker's account:\n%s",
			c.namespace, strings.Join(missing, ", "), roleFor(c.namespace))
	}
	return nil
}

// missing asks for all rights at the same time.
func (c *cluster) missing(ctx context.Context) ([]string, error) {
	type answer struct {
		missing string
		err     error
	}
	answers, asked := make(chan answer), 0
	for _, r := range needed {
		for _, verb := range r.verbs {
			asked++
			go func() {
				review := &authv1.SelfSubjectAccessReview{Spec: authv1.SelfSubjectAccessReviewSpec{
					ResourceAttributes: &authv1.ResourceAttributes{
						Namespace: c.namespace, Verb: verb, Resource: r.resource, Subresource: r.subresource,
					},
				}}
				review, err := c.auth.SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
				a := answer{err: err}
				if err == nil && !review.Status.Allowed {
					a.missing = verb + " " + r.name()
				}
				answers <- a
			}()
		}
	}
	var missing []string
	var failure error
	for range asked {
		a := <-answers
		if a.err != nil {
			failure = a.err
		}
		if a.missing != "" {
			missing = append(missing, a.missing)
		}
	}
	slices.Sort(missing)
	return missing, failure
}

// roleFor is a Role with all that the runner needs.
func roleFor(namespace string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: stroem-runner, namespace: %s}\nrules:\n", namespace)
	for _, r := range needed {
		fmt.Fprintf(&b, "- {apiGroups: [\"\"], resources: [%s], verbs: [%s]}\n", r.name(), strings.Join(r.verbs, ", "))
	}
	return b.String()
}

// healthLimit is for the question whether the API server is there.
const healthLimit = 2 * time.Second

// health asks the API server for its version, which everybody may, and for rights that have not been looked at yet.
func (r *runner) health(ctx context.Context) *pluginapi.Health {
	if r.cluster == nil {
		return &pluginapi.Health{State: pluginapi.Unavailable, Message: r.noCluster}
	}
	if !r.checked.Load() {
		err := r.cluster.checkAccess(ctx)
		switch {
		case errors.Is(err, errUnreachable):
			return &pluginapi.Health{State: pluginapi.Unavailable, Message: err.Error()}
		case err != nil:
			return &pluginapi.Health{State: pluginapi.Unhealthy, Message: err.Error()}
		}
		r.checked.Store(true)
		return &pluginapi.Health{State: pluginapi.Healthy}
	}
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	if err := r.cluster.core.RESTClient().Get().AbsPath("/version").Do(ctx).Error(); err != nil && !apierrors.IsForbidden(err) {
		return &pluginapi.Health{
			State:   pluginapi.Unavailable,
			Message: fmt.Sprintf("the API server %s does not answer: %v", r.cluster.address, err),
		}
	}
	return &pluginapi.Health{State: pluginapi.Healthy}
}
