package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"

	"github.com/stroem/stroem/pluginapi"
)

// credential is what a registry asks for.
type credential struct {
	Username     string `json:"username"`
	Password     string `json:"password"`
	PasswordFile string `json:"password_file"`
}

// check says what is wrong with the credentials for a registry.
func (c credential) check(host string) string {
	switch {
	case host == "" || strings.ContainsAny(host, "/@ "):
		return fmt.Sprintf("%q has to be the registry's host as image references name it: ghcr.io, localhost:5000, docker.io", host)
	case c.Username == "":
		return "username is missing"
	case (c.Password == "") == (c.PasswordFile == ""):
		return "either password or password_file has to be set"
	}
	return ""
}

// registryAuth returns what the engine is to show to the image's registry, encoded; "" for registries without
// credentials. A password file is read each time, because it may be renewed.
func (c *config) registryAuth(image reference.Named) (string, error) {
	host := reference.Domain(image)
	credential, ok := c.Registries[host]
	if !ok {
		return "", nil
	}
	password := credential.Password
	if credential.PasswordFile != "" {
		text, err := os.ReadFile(credential.PasswordFile)
		if err != nil {
			return "", pluginapi.Errorf(pluginapi.CodePrecondition, "read registries.%q.password_file: %w", host, err)
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	auth, err := registry.EncodeAuthConfig(registry.AuthConfig{
		Username: credential.Username, Password: password, ServerAddress: host,
	})
	if err != nil {
		return "", pluginapi.Errorf(pluginapi.CodeInternal, "encode the credentials for %s: %w", host, err)
	}
	return auth, nil
}
