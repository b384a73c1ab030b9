package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Network is a network, or one address. The file has it as 10.0.0.0/8 or 2001:db8::1.
type Network struct{ netip.Prefix }

// Equal tells whether both are the same network.
func (n Network) Equal(other Network) bool { return n.Prefix == other.Prefix }

// MarshalYAML writes what the file has.
func (n Network) MarshalYAML() (any, error) { return n.String(), nil }

// UnmarshalYAML reads a network or an address. IPv4 that is written as IPv6 becomes IPv4.
func (n *Network) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return errors.New("must be a network such as 10.0.0.0/8, or an address")
	}
	text := node.Value
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", text)
		}
		address = address.Unmap()
		n.Prefix = netip.PrefixFrom(address, address.BitLen())
		return nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", text)
	}
	if network != network.Masked() {
		return fmt.Errorf("%q is more than the name of a network; did you mean %s, or the address %s?", text, network.Masked(), network.Addr())
	}
	const mapped = 96 // bits in front of an IPv4 address
	if address := network.Addr(); address.Is4In6() && network.Bits() >= mapped {
		network = netip.PrefixFrom(address.Unmap(), network.Bits()-mapped)
	}
	n.Prefix = network
	return nil
}
