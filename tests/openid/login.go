package openid

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const readHeaderTimeout = 10 * time.Second

var page = template.Must(template.New("").Parse(`<!doctype html><title>Sign in</title>
<form method="post" action="/login"><input type="hidden" name="id" value="{{.ID}}">
<p>{{.Problem}}</p>
<input name="username" autocomplete="username"> <input name="password" type="password" autocomplete="current-password">
<button type="submit">Sign in</button></form>`))

// signIn is the page on which people sign in.
func (p *Provider) signIn(w http.ResponseWriter, r *http.Request) {
	id, problem := r.FormValue("id"), ""
	if r.Method == http.MethodPost {
		if p.allow(id, r.PostFormValue("username"), r.PostFormValue("password")) {
			http.Redirect(w, r, p.callbackURL(r.Context(), id), http.StatusFound)
			return
		}
		problem = "Wrong name or password"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, struct{ ID, Problem string }{id, problem}) // the browser has gone
}

func (p *Provider) allow(id, name, password string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, known := p.users[name]
	r, asked := p.requests[id]
	if !known || !asked || user.Password != password {
		return false
	}
	r.subject, r.at = user.Subject, time.Now()
	return true
}

// Approve does what a browser and its user do: follows the address that a client redirects to, signs in, and returns the
// address at which the client is to go on.
func (p *Provider) Approve(ctx context.Context, address, name, password string) (*url.URL, error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	form := url.Values{"username": {name}, "password": {password}}
	for range 5 {
		at, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		method, body := http.MethodGet, io.Reader(nil)
		if at.Path == "/login" {
			form.Set("id", at.Query().Get("id"))
			method, body = http.MethodPost, strings.NewReader(form.Encode())
		}
		r, err := http.NewRequestWithContext(ctx, method, address, body)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		next, err := response.Location()
		if err != nil {
			return nil, fmt.Errorf("%s at %s: %s", response.Status, at.Path, text)
		}
		if "http://"+next.Host != p.Issuer {
			return next, nil
		}
		address = next.String()
	}
	return nil, errors.New("it does not lead back")
}
