// Package browser starts Chromium for tests that have to see what a real browser makes of pages, redirects and cookies.
// scripts/install-chromium installs it.
package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/engines"
)

// Program is the variable with the path of a Chromium; without it one is looked for in PATH.
const Program = "STROEM_TEST_CHROMIUM"

// patience is how long a page may take.
const patience = 60 * time.Second

// Browser is one window of a browser that knows nothing yet, and is closed when the test ends. It belongs to the test's
// goroutine.
type Browser struct {
	t   testing.TB
	ctx context.Context
}

// Start opens a browser without a screen. Where there is none the test is skipped, or fails if STROEM_TEST_REQUIRE names
// chromium.
func Start(t testing.TB) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(find(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox,                           // which refuses to work for root
		chromedp.Flag("disable-dev-shm-usage", true), // is small in containers
	)
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancelAllocator)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "start the browser")
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // waits for the process, whose profile can then be removed
	return &Browser{t: t, ctx: ctx}
}

func find(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(Program); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "there is no Chromium: scripts/install-chromium installs it"
	if engines.Required("chromium") {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Do runs actions of chromedp, and fails the test if one does or takes too long.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	_ = Get(b, chromedp.Steps(actions...))
}

// Get runs an action of chromedp for its value, and fails the test as [Browser.Do] does.
func Get[T any](b *Browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		require.NoError(b.t, err, b.describe())
	}
	return value
}

// describe says what the browser shows.
func (b *Browser) describe() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.documentElement.innerText`))
	return fmt.Sprintf("the browser shows (%v):\n%s", err, text)
}

// SignIn opens an address that leads to a page to sign in on, fills in the first field for a name and the one for a password,
// and returns where the browser is once it is back at the address's own server.
func (b *Browser) SignIn(start, user, password string) *url.URL {
	b.t.Helper()
	const name, secret = chromedp.CSS(`input[name="username"]`), chromedp.CSS(`input[type="password"]`)
	b.Do(
		chromedp.Navigate(start),
		chromedp.WaitVisible(secret),
		chromedp.SendKeys(name, user),
		chromedp.SendKeys(secret, password),
	)
	return b.Follow(start, chromedp.Submit(secret))
}

// Follow runs an action that makes the browser leave its page, waits until a page of the address's server has loaded, whatever
// comes in between, and returns where that is.
func (b *Browser) Follow(address string, action chromedp.Action[chromedp.Void]) *url.URL {
	b.t.Helper()
	want, err := url.Parse(address)
	require.NoError(b.t, err)
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	loads := chromedp.Events(ctx, page.LoadEventFired)
	b.Do(action)
	for _, err := range loads {
		if err != nil {
			require.NoError(b.t, err, b.describe())
		}
		at, err := url.Parse(Get(b, chromedp.Location()))
		require.NoError(b.t, err)
		if at.Host == want.Host {
			return at
		}
	}
	require.Fail(b.t, "the browser did not get to "+want.Host, b.describe())
	return nil
}

// Text returns what the page shows.
func (b *Browser) Text() string {
	b.t.Helper()
	return strings.TrimSpace(Get(b, chromedp.Evaluate[string](`document.documentElement.innerText`)))
}

// Cookies returns the cookies that the browser sends to an address, those included that pages cannot read.
func (b *Browser) Cookies(address string) []*network.Cookie {
	b.t.Helper()
	return Get(b, func(ctx context.Context, t *chromedp.Target) ([]*network.Cookie, error) {
		result, err := cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{URLs: []string{address}})
		return result.Cookies, err
	})
}
