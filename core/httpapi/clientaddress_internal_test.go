package httpapi

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func networks(list ...string) proxies {
	var p proxies
	for _, text := range list {
		p = append(p, netip.MustParsePrefix(text))
	}
	return p
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := networks("10.0.0.0/8", "192.0.2.7/32", "2001:db8:1::/48", "127.0.0.0/8")
	for name, test := range map[string]struct {
		peer    string
		headers []string
		want    string
	}{
		"nobody says anything":         {"203.0.113.1", nil, "203.0.113.1"},
		"a peer that is not trusted":   {"203.0.113.1", []string{"198.51.100.1"}, "203.0.113.1"},
		"a proxy":                      {"10.1.1.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"a proxy by its address":       {"192.0.2.7", []string{"198.51.100.1"}, "198.51.100.1"},
		"its neighbour":                {"192.0.2.8", []string{"198.51.100.1"}, "192.0.2.8"},
		"a proxy that says nothing":    {"10.1.1.1", nil, "10.1.1.1"},
		"an empty header":              {"10.1.1.1", []string{""}, "10.1.1.1"},
		"made up by the client":        {"10.1.1.1", []string{"127.0.0.1, 10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		"made up in another header":    {"10.1.1.1", []string{"127.0.0.1", "198.51.100.1"}, "198.51.100.1"},
		"two proxies":                  {"10.1.1.1", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		"two proxies, two headers":     {"10.1.1.1", []string{"198.51.100.1", "10.2.2.2"}, "198.51.100.1"},
		"all trusted":                  {"10.1.1.1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		"garbage":                      {"10.1.1.1", []string{"198.51.100.1, who?"}, "10.1.1.1"},
		"garbage behind a proxy":       {"10.1.1.1", []string{"198.51.100.1, who?, 10.2.2.2"}, "10.2.2.2"},
		"garbage that is not reached":  {"10.1.1.1", []string{"who?, 198.51.100.1"}, "198.51.100.1"},
		"unknown":                      {"10.1.1.1", []string{"198.51.100.1, unknown"}, "10.1.1.1"},
		"a hidden name":                {"10.1.1.1", []string{"_hidden"}, "10.1.1.1"},
		"a gap":                        {"10.1.1.1", []string{"198.51.100.1, "}, "10.1.1.1"},
		"a port":                       {"10.1.1.1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"a port that is none":          {"10.1.1.1", []string{"198.51.100.1:99999"}, "10.1.1.1"},
		"blanks":                       {"10.1.1.1", []string{" \t198.51.100.1 ,\t10.2.2.2 "}, "198.51.100.1"},
		"IPv6":                         {"10.1.1.1", []string{"2001:db8:2::1"}, "2001:db8:2::1"},
		"IPv6 in brackets":             {"10.1.1.1", []string{"[2001:db8:2::1]"}, "2001:db8:2::1"},
		"IPv6 with a port":             {"10.1.1.1", []string{"[2001:db8:2::1]:443"}, "2001:db8:2::1"},
		"IPv6 with a zone":             {"10.1.1.1", []string{"fe80::1%a\x1b[31m"}, "fe80::1"},
		"IPv4 in brackets":             {"10.1.1.1", []string{"[198.51.100.1]"}, "10.1.1.1"},
		"half a bracket":               {"10.1.1.1", []string{"[2001:db8:2::1"}, "10.1.1.1"},
		"a proxy with IPv6":            {"2001:db8:1::5", []string{"198.51.100.1"}, "198.51.100.1"},
		"a proxy, IPv4 as IPv6":        {"::ffff:10.1.1.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"a client, IPv4 as IPv6":       {"10.1.1.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a second proxy, IPv4 as IPv6": {"10.1.1.1", []string{"198.51.100.1, [::ffff:10.2.2.2]:80"}, "198.51.100.1"},
		"octal":                        {"10.1.1.1", []string{"0198.51.100.1"}, "10.1.1.1"},
		"a network":                    {"10.1.1.1", []string{"198.51.100.0/24"}, "10.1.1.1"},
		"quotes":                       {"10.1.1.1", []string{`"198.51.100.1"`}, "10.1.1.1"},
	} {
		got := trusted.clientAddress(netip.MustParseAddr(test.peer), test.headers)
		require.Equal(t, test.want, got.String(), name)
	}
	require.Equal(t, "10.1.1.1", proxies(nil).clientAddress(netip.MustParseAddr("::ffff:10.1.1.1"), []string{"198.51.100.1"}).String())
	require.Empty(t, addressText(networks("0.0.0.0/0", "::/0").clientAddress(netip.Addr{}, []string{"198.51.100.1"})), "a socket")
}

func TestForwardedProto(t *testing.T) {
	t.Parallel()
	trusted := networks("10.0.0.0/8")
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		proto     []string
		want      string
	}{
		"not trusted":             {"203.0.113.1", nil, []string{"https"}, ""},
		"not said":                {"10.1.1.1", []string{"198.51.100.1"}, nil, ""},
		"said":                    {"10.1.1.1", []string{"198.51.100.1"}, []string{"https"}, "https"},
		"said without an address": {"10.1.1.1", nil, []string{"HTTPS"}, "https"},
		"made up by the client":   {"10.1.1.1", []string{"198.51.100.1"}, []string{"https, http"}, "http"},
		"made up, another header": {"10.1.1.1", []string{"198.51.100.1"}, []string{"https", "http"}, "http"},
		"by the first of two":     {"10.1.1.1", []string{"198.51.100.1, 10.2.2.2"}, []string{"https, http"}, "https"},
		"by one of two":           {"10.1.1.1", []string{"198.51.100.1, 10.2.2.2"}, []string{"https"}, "https"},
		"made up in front of two": {"10.1.1.1", []string{"198.51.100.1, 10.2.2.2"}, []string{"http, https, http"}, "https"},
		"something else":          {"10.1.1.1", nil, []string{"gopher"}, ""},
		"nothing":                 {"10.1.1.1", nil, []string{""}, ""},
	} {
		require.Equal(t, test.want, trusted.forwardedProto(netip.MustParseAddr(test.peer), test.forwarded, test.proto), name)
	}
}

// FuzzClientAddress checks that a client can say what it wants: what the nearest proxy adds is what counts, and the result is
// always an address that somebody has vouched for.
func FuzzClientAddress(f *testing.F) {
	f.Add("127.0.0.1", "10.0.0.1, [::1]:80")
	f.Add(",,,", "unknown")
	f.Add("10.0.0.1\r\nX: y", "::ffff:10.0.0.1%x")
	trusted := networks("10.0.0.0/8", "::1/128")
	proxy, client := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("198.51.100.1")
	f.Fuzz(func(t *testing.T, one, two string) {
		require.Equal(t, client, trusted.clientAddress(client, []string{one, two}), "a client is not believed")
		require.Equal(t, client, trusted.clientAddress(proxy, []string{one, two, client.String()}))
		require.Equal(t, client, trusted.clientAddress(proxy, []string{one, two + "," + client.String() + ", 10.0.0.2"}))
		require.Empty(t, trusted.forwardedProto(client, []string{one}, []string{two}))
		require.Equal(t, "https", trusted.forwardedProto(proxy, []string{one, client.String()}, []string{two, "https"}))
		got := trusted.clientAddress(proxy, []string{one, two})
		require.True(t, got.IsValid())
		require.Equal(t, got, plain(got))
		said := slices.ContainsFunc(fields([]string{one, two}), func(field string) bool {
			hop, ok := parseHop(field)
			return ok && hop == got
		})
		require.True(t, said || got == proxy, "%s comes from nowhere", got)
	})
}
