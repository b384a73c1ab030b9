// Package httptarget is the server that steps of type example.http_request talk to in tests.
package httptarget

import (
	"bufio"
	"encoding/json"
	"fmt"
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

// Cases are specs for the conformance suite, as `stroem plugin check --cases` reads them, for a server at the URL.
func Cases(url string) []byte {
	spec := func(path string) map[string]any { return map[string]any{"url": url + path, "output_status": false} }
	text, err := json.MarshalIndent(map[string]any{"example.http_request": map[string]any{
		"succeed": spec("/ok"), "fail": spec("/fail"), "long": spec("/long"), "large": spec("/large"),
		"unterminated": spec("/unterminated"), "endless": spec("/endless"),
	}}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encode maps of strings: %v", err)) //nolint:forbidigo // strings can be encoded
	}
	return text
}
