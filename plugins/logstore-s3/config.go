package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/stroem/stroem/pluginapi"
)

//go:embed schema/config.json
var configSchema []byte

type config struct {
	Bucket       string                     `json:"bucket"`
	Region       string                     `json:"region"`
	Prefix       string                     `json:"prefix"`
	Endpoint     string                     `json:"endpoint"`
	CAPath       string                     `json:"ca_path"`
	SSE          types.ServerSideEncryption `json:"sse"`
	KMSKeyID     string                     `json:"kms_key_id"`
	StorageClass types.StorageClass         `json:"storage_class"`
}

// slow are the storage classes from which an object has to be restored, which takes hours, before it can be read.
var slow = []types.StorageClass{types.StorageClassGlacier, types.StorageClassDeepArchive}

// parse reads the configuration and checks what the schema does not.
func parse(settings json.RawMessage) (config, error) {
	var c config
	decoder := json.NewDecoder(bytes.NewReader(settings))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return c, invalid("read config: %w", err)
	}
	var problems pluginapi.Diagnostics
	complain := func(key, message string) {
		problems = append(problems, pluginapi.Diagnostic{Severity: pluginapi.SeverityError, Path: "/" + key, Message: message})
	}
	if c.Bucket == "" {
		complain("bucket", "is required")
	}
	if c.Region == "" {
		complain("region", "is required")
	}
	if c.Endpoint != "" {
		at, err := url.Parse(c.Endpoint)
		switch {
		case err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https":
			complain("endpoint", "has to be a URL that begins with https:// or http:// and names a host")
		case at.User != nil:
			complain("endpoint", "must not have credentials in it; they come from the environment or from the files of AWS")
		case at.RawQuery != "" || at.Fragment != "":
			complain("endpoint", "must have nothing after its path")
		}
	}
	if c.SSE != "" && !slices.Contains(c.SSE.Values(), c.SSE) {
		complain("sse", "is not one of AES256, aws:kms and aws:kms:dsse")
	}
	if c.KMSKeyID != "" && !strings.HasPrefix(string(c.SSE), string(types.ServerSideEncryptionAwsKms)) {
		complain("kms_key_id", "is for sse: aws:kms and aws:kms:dsse")
	}
	if slices.Contains(slow, c.StorageClass) {
		complain("storage_class", "is one that cannot be read at once")
	}
	if len(problems) > 0 {
		return c, problems
	}
	return c, nil
}

func invalid(format string, args ...any) error {
	return pluginapi.Errorf(pluginapi.CodeInvalid, format, args...)
}
