//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// api asks the cluster how far it is.
type api struct {
	base   string
	client *http.Client
}

func (c *cluster) newAPI() (*api, error) {
	authority, err := os.ReadFile(c.path("ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	admin, err := tls.LoadX509KeyPair(c.path("admin.crt"), c.path("admin.key"))
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{admin}}}
	return &api{
		base:   "https://" + c.address(nodeNumber),
		client: &http.Client{Transport: transport, Timeout: 5 * time.Second},
	}, nil
}

// get reads what is at path into answer, unless that is nil.
func (a *api) get(ctx context.Context, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, content)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(content, answer)
}

func (a *api) answers(ctx context.Context) error { return a.get(ctx, "/readyz", nil) }

func (a *api) nodeTakesPods(ctx context.Context) error {
	var node struct {
		Spec   struct{ Taints []any }
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := a.get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
		return err
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("the node has taints: %v", node.Spec.Taints)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			return nil
		}
	}
	return fmt.Errorf("the node is not ready: %v", node.Status.Conditions)
}

func (a *api) accountReady(ctx context.Context) error {
	return errors.Join(
		a.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil),
		a.get(ctx, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", nil),
	)
}
