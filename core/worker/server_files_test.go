package worker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

// store adds the lines of a batch that are new; s.mu is held.
func (s *server) store(st *step, first int64, lines string) {
	for line := range strings.Lines(lines) {
		if first == st.lines+1 {
			st.log += line
			st.lines++
		}
		first++
	}
}

func (s *server) appendLogs(w http.ResponseWriter, r *http.Request) {
	if _, err := s.authenticate(r); err != nil {
		answerWith(w, nil, err)
		return
	}
	lines, err := io.ReadAll(r.Body)
	first, _ := strconv.ParseInt(r.URL.Query().Get("first"), 10, 64)
	found := false
	s.do(func() {
		for _, st := range s.steps {
			if st.JobID == r.PathValue("job") && st.StepName == r.URL.Query().Get("step") && st.Lease == r.Header.Get("X-Stroem-Lease") {
				s.store(st, first, string(lines))
				found = true
			}
		}
	})
	if err != nil || !found {
		answer(w, http.StatusConflict, api.Error{Error: "stale", Code: "lease_stale"})
		return
	}
	answer(w, http.StatusOK, api.Status{Status: "ok"})
}

func (s *server) archive(w http.ResponseWriter, r *http.Request) {
	if _, err := s.authenticate(r); err != nil {
		answerWith(w, nil, err)
		return
	}
	revision := r.URL.Query().Get("revision")
	s.mu.Lock()
	data, ok := s.archives[revision]
	s.calls[r.RequestURI]++
	lease := r.Header.Get("X-Stroem-Lease")
	leased := lease != "" && slices.ContainsFunc(s.steps, func(st *step) bool { return st.Lease == lease })
	s.announce()
	s.mu.Unlock()
	if !leased {
		answer(w, http.StatusForbidden, api.Error{Error: "The lease is missing or wrong", Code: "lease_invalid"})
		return
	}
	if !ok {
		answer(w, http.StatusNotFound, api.Error{Error: "Revision not found", Code: "not_found"})
		return
	}
	_, _ = w.Write(data)
}

// workspaceToken gives tokens that are told from each other by the step.
func (s *server) workspaceToken(_ string, request api.WorkspaceTokenRequest, r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.steps, func(st *step) bool {
		return st.StepID == request.StepID && st.Lease == r.Header.Get("X-Stroem-Lease")
	}) {
		return nil, &httpError{http.StatusForbidden, "lease_invalid"}
	}
	return api.WorkspaceToken{Token: "token of " + strconv.FormatInt(request.StepID, 10)}, nil
}

// pack makes a tar.gz of files.
func pack(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	archive := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(files[name]))}))
		_, err := archive.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, zip.Close())
	return b.Bytes()
}
