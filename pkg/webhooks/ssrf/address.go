package ssrf

import (
	"net/netip"
	"strconv"
	"strings"
)

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, text := range list {
		parsed[i] = netip.MustParsePrefix(text)
	}

	return parsed
}

// nonPublic are the networks that Python's ipaddress doesn't call global, in any of its releases,
// and beyond them what no receiver can have as its address: multicast, site-local, the deprecated
// form with an IPv4 address, and further prefixes of translators and routers.
var nonPublic = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

var (
	sixToFour = netip.MustParsePrefix("2002::/16")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
)

// IsPublic tells whether an address is anybody's to connect to. An IPv6 address that stands for an
// IPv4 one (mapped, 6to4, NAT64) is judged as that (validation._is_public_ip).
func IsPublic(address netip.Addr) bool {
	address = embeddedIPv4(address.WithZone(""))
	if !address.IsValid() {
		return false
	}

	for _, network := range nonPublic {
		if network.Contains(address) {
			return false
		}
	}

	return true
}

func embeddedIPv4(address netip.Addr) netip.Addr {
	const after6to4, afterNAT64 = 2, 12

	bytes := address.As16()

	switch {
	case address.Is4In6():
		return address.Unmap()
	case sixToFour.Contains(address):
		return netip.AddrFrom4([4]byte(bytes[after6to4:]))
	case nat64.Contains(address):
		return netip.AddrFrom4([4]byte(bytes[afterNAT64:]))
	default:
		return address
	}
}

// format writes an address as Python's ipaddress does, which has no dotted form for a mapped one.
func format(address netip.Addr) string {
	if !address.Is4In6() {
		return address.WithZone("").String()
	}

	const high, low = 12, 14

	bytes := address.As16()
	group := func(at int) string {
		return strconv.FormatUint(uint64(bytes[at])<<8|uint64(bytes[at+1]), 16)
	}

	return "::ffff:" + group(high) + ":" + group(low)
}

// parseLiteral reads what the C library takes for an address without asking anybody: IPv6, and IPv4
// in each of inet_aton's spellings (127.1, 0x7f000001, 0177.0.0.1, 2130706433).
//
//nolint:mnd // bytes and bits of an address
func parseLiteral(host string) (address netip.Addr, ok bool) {
	if address, err := netip.ParseAddr(host); err == nil {
		return address, true
	}

	parts := strings.Split(host, ".")
	if len(parts) > len([4]byte{}) {
		return netip.Addr{}, false
	}

	var value uint64

	for i, part := range parts {
		rest := 4 - i // bytes that are still to be said
		limit := uint64(1)<<8 - 1

		if i == len(parts)-1 {
			limit = uint64(1)<<(8*rest) - 1
		}

		number, ok := parseCNumber(part)
		if !ok || number > limit {
			return netip.Addr{}, false
		}

		if i == len(parts)-1 {
			value |= number
		} else {
			value |= number << (8 * (rest - 1))
		}
	}

	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// parseCNumber is C's strtoul with base 0, for digits alone.
func parseCNumber(text string) (uint64, bool) {
	base := 10

	switch {
	case strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X"):
		text, base = text[2:], 16
	case len(text) > 1 && text[0] == '0':
		text, base = text[1:], 8
	}

	if strings.ContainsAny(text, "+-_") {
		return 0, false
	}

	number, err := strconv.ParseUint(text, base, 32)

	return number, err == nil
}
