package httpapi

import (
	"net"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// proxies are the networks of those whose word is taken for whom they ask: X-Forwarded-For and X-Forwarded-Proto of others say
// nothing. Networks of IPv4 are not written as IPv6.
type proxies []netip.Prefix

func (p proxies) trust(address netip.Addr) bool {
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// clientAddress is the address of whom a request comes from, without a zone, and IPv4 as such: that of the peer, or, if that is a
// trusted proxy, the one that it says it asks for, and so on. forwardedFor are the values of all headers X-Forwarded-For. They are
// read from the right, where the nearest proxy has added what it knows; what stands left of an address that is not trusted, or of
// something that is no address, may have been made up.
func (p proxies) clientAddress(peer netip.Addr, forwardedFor []string) netip.Addr {
	client, _ := p.follow(peer, forwardedFor)
	return client
}

// forwardedProto is what the client speaks, http or https, as far as a trusted proxy says so, else "". If there are several
// proxies, and all say it, it is the word of the first of those that are trusted.
func (p proxies) forwardedProto(peer netip.Addr, forwardedFor, forwardedProto []string) string {
	_, trusted := p.follow(peer, forwardedFor)
	protos := fields(forwardedProto)
	if trusted == 0 || len(protos) == 0 {
		return ""
	}
	switch proto := strings.ToLower(protos[max(0, len(protos)-trusted)]); proto {
	case "http", "https":
		return proto
	default:
		return ""
	}
}

// follow also returns how many proxies were asked, and trusted.
func (p proxies) follow(peer netip.Addr, forwardedFor []string) (client netip.Addr, trusted int) {
	client = plain(peer)
	if !p.trust(client) {
		return client, 0
	}
	hops := fields(forwardedFor)
	for trusted = 1; len(hops) > 0; trusted++ {
		next, ok := parseHop(hops[len(hops)-1])
		if !ok {
			break
		}
		client = next
		if !p.trust(client) {
			break
		}
		hops = hops[:len(hops)-1]
	}
	return client, trusted
}

// fields are the parts between commas of a header that may stand there several times.
func fields(values []string) []string {
	var list []string
	for _, value := range values {
		for field := range strings.SplitSeq(value, ",") {
			list = append(list, strings.Trim(field, " \t"))
		}
	}
	return list
}

// parseHop reads an address as proxies write them: with a port or not, that of IPv6 in brackets or not. "unknown" is none.
func parseHop(text string) (netip.Addr, bool) {
	if hop, err := netip.ParseAddrPort(text); err == nil {
		return plain(hop.Addr()), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if text, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(text, ":") {
			return netip.Addr{}, false
		}
	}
	hop, err := netip.ParseAddr(text)
	return plain(hop), err == nil
}

func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// client is the address of whom the request comes from; not valid for a socket.
func (a *API) client(c *fiber.Ctx) netip.Addr {
	return proxies(a.Proxies).clientAddress(peer(c), headers(c, fiber.HeaderXForwardedFor))
}

// proto is what a trusted proxy says that the client speaks, or "".
func (a *API) proto(c *fiber.Ctx) string {
	if len(a.Proxies) == 0 {
		return ""
	}
	return proxies(a.Proxies).forwardedProto(peer(c), headers(c, fiber.HeaderXForwardedFor), headers(c, fiber.HeaderXForwardedProto))
}

// peer is who the connection is with; not valid for a socket.
func peer(c *fiber.Ctx) netip.Addr {
	if tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}

// headers are all values of a header.
func headers(c *fiber.Ctx, name string) []string {
	found := c.Request().Header.PeekAll(name)
	values := make([]string, len(found))
	for i, value := range found {
		values[i] = string(value)
	}
	return values
}

// addressText is "" for an address that is not valid.
func addressText(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}
