// Package images tests the container images of deploy/docker.
package images
