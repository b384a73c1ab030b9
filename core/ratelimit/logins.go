package ratelimit

import (
	"net/netip"
	"strings"
	"time"
)

// How many times more often an address may fail, whatever the account, and an account, whatever the address. One address alone
// cannot use up what an account has: others still get in.
const (
	perAddress = 5
	perAccount = 10
)

// loginKeys is how many accounts, addresses and pairs of them are remembered at the most.
const loginKeys = 50_000

// Logins bounds how often logins may fail. It is safe for concurrent use; nil bounds nothing.
type Logins struct{ pairs, addresses, accounts *Limiter }

// NewLogins lets so many logins a minute fail for an account from one address.
func NewLogins(perMinute int) *Logins {
	limiter := func(times int) *Limiter { return New(times*perMinute, times*perMinute, loginKeys) }
	return &Logins{pairs: limiter(1), addresses: limiter(perAddress), accounts: limiter(perAccount)}
}

// Allow tells whether a login may be tried, else after what time. It is asked before the password is looked at, and counts as a
// failure until Succeeded says otherwise: those that are tried at the same time are counted too.
func (l *Logins) Allow(account string, address netip.Addr) (retryAfter time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	from, who, pair := loginKeysOf(account, address)
	if retryAfter, ok = l.addresses.Take(from); !ok {
		return retryAfter, false
	}
	if retryAfter, ok = l.pairs.Take(pair); !ok {
		l.addresses.Return(from)
		return retryAfter, false
	}
	if retryAfter, ok = l.accounts.Take(who); !ok {
		l.addresses.Return(from)
		l.pairs.Return(pair)
		return retryAfter, false
	}
	return 0, true
}

// Succeeded takes back what Allow counted, and forgets what failed for the account from this address before. Failures of others,
// and for other accounts, stay.
func (l *Logins) Succeeded(account string, address netip.Addr) {
	if l == nil {
		return
	}
	from, who, pair := loginKeysOf(account, address)
	l.addresses.Return(from)
	l.accounts.Return(who)
	l.pairs.Forget(pair)
}

func loginKeysOf(account string, address netip.Addr) (from, who, pair string) {
	from, who = AddressKey(address), strings.ToLower(account)
	return from, who, from + " " + who
}
