package gitserver

import (
	"io"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
)

// Credentials are a name and a password; the zero value is everybody.
type Credentials struct{ Username, Password string }

// Handler serves the repository at /repo.git over http to those who have the credentials.
func (r *Repository) Handler(want Credentials) http.Handler {
	r.t.Helper()
	out, err := exec.CommandContext(r.t.Context(), "git", "--exec-path").Output()
	if err != nil {
		r.t.Fatalf("find git's programs: %v", err)
	}
	backend := &cgi.Handler{
		Path:   filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:    append(environment(r.work), "GIT_PROJECT_ROOT="+r.Root, "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: io.Discard, // the client hears of it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		username, password, _ := req.BasicAuth()
		if want != (Credentials{}) && want != (Credentials{username, password}) {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, req)
	})
}
