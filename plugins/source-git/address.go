package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// Addresses of no remote: of links, groups and nobody, and those where clouds answer with the credentials of the machine.
var refused = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("ff00::/8"),
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
}

// Addresses of IPv6 that lead to one of IPv4, and where in them it is.
var translated = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// checkAddress refuses addresses that no repository is at. Loopback and private ones are fine.
func checkAddress(address netip.Addr) error {
	plain := address.WithZone("").Unmap()
	all := []netip.Addr{plain}
	for _, t := range translated {
		if plain.Is6() && t.prefix.Contains(plain) && plain != netip.IPv6Loopback() {
			raw := plain.As16()
			all = append(all, netip.AddrFrom4([4]byte(raw[t.at:t.at+4])))
		}
	}
	for _, a := range all {
		for _, prefix := range refused {
			if prefix.Contains(a) {
				return pluginapi.Errorf(pluginapi.CodeDenied,
					"the address %s is refused: link-local addresses and those of metadata services are no git servers", address)
			}
		}
	}
	return nil
}

// newDialer returns a dialer that looks at each address once more when names are resolved, right before it connects.
func newDialer() *net.Dialer {
	return &net.Dialer{
		Timeout: 15 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("look at the address to connect to: %w", err)
			}
			return checkAddress(at.Addr())
		},
	}
}
