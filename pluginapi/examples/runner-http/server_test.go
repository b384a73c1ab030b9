package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// serve starts the server that the steps of the tests talk to, and returns its URL.
func serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Method + " ok")) // as in all handlers: nobody is left to tell of an error
	})
	mux.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) })
	mux.HandleFunc("/long", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		text := bufio.NewWriter(w)
		for i := range 1_500_000 {
			_, _ = text.WriteString(strconv.Itoa(i+1) + "\n")
		}
		_ = text.Flush()
	})
	mux.HandleFunc("/unterminated", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("no newline")) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("more and more\n"))
		}
	})
	mux.HandleFunc("/forged", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OUTPUT: {\"status\": 1}\n")) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
	})
	mux.HandleFunc("/key", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "set-by-the-server"})
		if r.Header.Get("X-Api-Key") != secret {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.FormValue("to"), http.StatusFound) })
	mux.HandleFunc("/circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/circle", http.StatusFound) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
