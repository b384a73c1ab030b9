package main

import (
	"bytes"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/s3server"
)

// TestEncryptionAndStorageClass looks at what is asked for of each object, in one piece and in parts.
func TestEncryptionAndStorageClass(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	for name, c := range map[string]struct{ settings, want map[string]string }{
		"nothing": {nil, map[string]string{}},
		"by S3":   {map[string]string{"sse": "AES256"}, map[string]string{"x-amz-server-side-encryption": "AES256"}},
		"by the account's key, and cheap": {
			map[string]string{"sse": "aws:kms", "storage_class": "STANDARD_IA"},
			map[string]string{"x-amz-server-side-encryption": "aws:kms", "x-amz-storage-class": "STANDARD_IA"},
		},
		"by a key": {map[string]string{"sse": "aws:kms:dsse", "kms_key_id": "alias/logs"}, map[string]string{
			"x-amz-server-side-encryption": "aws:kms:dsse", "x-amz-server-side-encryption-aws-kms-key-id": "alias/logs",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := record(t, server)
			more := map[string]string{"endpoint": proxy.URL, "prefix": name + "/"}
			maps.Copy(more, c.settings)
			s := open(t, server, owner, more)
			require.NoError(t, put(t.Context(), s, "small", "text"))
			large := bytes.Repeat([]byte("x"), minPart+1)
			require.NoError(t, s.Put(t.Context(), &pluginapi.PutRequest{Key: "large", Size: -1}, bytes.NewReader(large)))

			whole, begun, parts := proxy.requests("PUT", ""), proxy.requests("POST", "uploads"), proxy.requests("PUT", "partNumber")
			require.Len(t, whole, 1)
			require.Len(t, begun, 1)
			require.Len(t, parts, 2)
			for _, request := range []map[string]string{headers(whole[0], "x-amz-s"), headers(begun[0], "x-amz-s")} {
				delete(request, "x-amz-sdk-checksum-algorithm")
				require.Equal(t, c.want, request)
			}
			require.Equal(t, "application/gzip", whole[0].Header.Get("Content-Type"))
			require.Empty(t, headers(parts[0], "x-amz-server"), "a part has the encryption of its upload")
		})
	}
}

// TestOtherServicesGetNoNewChecksums looks for what older services refuse.
func TestOtherServicesGetNoNewChecksums(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	proxy := record(t, server)
	s := open(t, server, owner, map[string]string{"endpoint": proxy.URL})
	require.NoError(t, put(t.Context(), s, "a/b", "text"))
	require.NoError(t, s.Put(t.Context(), &pluginapi.PutRequest{Key: "large", Size: -1}, bytes.NewReader(make([]byte, minPart+1))))
	_, err := s.Stat(t.Context(), &pluginapi.StatRequest{Key: "a/b"})
	require.NoError(t, err)
	for _, method := range []string{"PUT", "POST", "HEAD"} {
		for _, key := range []string{"", "uploads", "uploadId"} {
			for _, request := range proxy.requests(method, key) {
				require.Empty(t, headers(request, "x-amz-checksum"), request.URL)
				require.Empty(t, headers(request, "x-amz-trailer"), request.URL)
				require.Empty(t, headers(request, "x-amz-sdk-checksum"), request.URL)
				require.Contains(t, request.URL.Path, "/"+s3server.Bucket+"/", "the bucket is part of the path")
			}
		}
	}
	require.Contains(t, proxy.requests("PUT", "")[0].UserAgent(), "app/stroem")
}
