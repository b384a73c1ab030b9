// Package httptarget is the server that steps of type example.http_request talk to in tests.
package httptarget

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// Lines is how many lines /large has: the numbers from 1 on, as the conformance suite wants them.
const Lines = 1_500_000

// Handler answers
//
//	/ok            with 200
//	/fail          with 404
//	/long          not at all, until the client gives up
//	/large         with the numbers from 1 to [Lines], one a line
//	/unterminated  with "no newline"
//	/endless       with text, until the client gives up
//	/echo          with what the request was, as JSON
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { write(w, "ok\n") })
	mux.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such thing", http.StatusNotFound) })
	mux.HandleFunc("/long", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		text := bufio.NewWriter(w)
		for number := range Lines {
			write(text, strconv.Itoa(number+1)+"\n")
		}
		_ = text.Flush() // as in write
	})
	mux.HandleFunc("/unterminated", func(w http.ResponseWriter, _ *http.Request) { write(w, "no newline") })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			write(w, "more and more\n")
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the body broke off", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{ // as in write
			"method": r.Method, "body": string(body), "authorization": r.Header.Get("Authorization"),
		})
	})
	return mux
}

// write answers a client; one that has gone is no concern of the server's.
func write(w io.Writer, text string) { _, _ = io.WriteString(w, text) }
