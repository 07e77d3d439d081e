// Package uri does MLflow's arithmetic with artifact URIs (mlflow.utils.uri). It splits and joins
// as Python's urllib.parse does, not as net/url: locations that one server stored must be read
// the same way by the other.
package uri

import (
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// ErrMalformed is what urllib.parse raises ValueError for.
var ErrMalformed = errors.New("malformed URI")

// Parts of a URI, as urllib.parse.urlparse names them.
type Parts struct {
	Scheme, Netloc, Path, Params, Query, Fragment string
}

const upToSpace = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f" +
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f "

var (
	// schemes whose last path segment may have parameters (urllib.parse.uses_params).
	usesParams = []string{
		"", "ftp", "hdl", "prospero", "http", "imap", "https", "shttp", "rtsp", "rtspu", "sip",
		"sips", "mms", "sftp", "tel",
	}
	// schemes that are followed by // even without a host (urllib.parse.uses_netloc).
	usesNetloc = []string{
		"", "ftp", "http", "gopher", "nntp", "telnet", "imap", "wais", fileScheme, "mms", "https",
		"shttp", "snews", "prospero", "rtsp", "rtspu", "rsync", "svn", "svn+ssh", "sftp", "nfs",
		"git", "git+ssh", "ws", "wss",
	}
)

// Parse splits a URI (urllib.parse.urlparse).
func Parse(raw string) (Parts, error) {
	rest := strings.TrimLeft(raw, upToSpace)
	rest = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(rest)

	var parts Parts

	if scheme, after, found := strings.Cut(rest, ":"); found && isScheme(scheme) {
		parts.Scheme, rest = strings.ToLower(scheme), after
	}

	if after, found := strings.CutPrefix(rest, "//"); found {
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}

		parts.Netloc, rest = after[:end], after[end:]
		if err := checkNetloc(parts.Netloc); err != nil {
			return Parts{}, err
		}
	}

	rest, parts.Fragment, _ = strings.Cut(rest, "#")
	parts.Path, parts.Query, _ = strings.Cut(rest, "?")

	if slices.Contains(usesParams, parts.Scheme) {
		segment := strings.LastIndexByte(parts.Path, '/') + 1
		if i := strings.IndexByte(parts.Path[segment:], ';'); i >= 0 {
			parts.Path, parts.Params = parts.Path[:segment+i], parts.Path[segment+i+1:]
		}
	}

	return parts, nil
}

// String joins the parts again (urllib.parse.urlunparse).
func (p Parts) String() string {
	joined := p.Path
	if p.Params != "" {
		joined += ";" + p.Params
	}

	hasAuthority := p.Scheme != "" && slices.Contains(usesNetloc, p.Scheme) && !strings.HasPrefix(joined, "//")
	if p.Netloc != "" || hasAuthority {
		if joined != "" && joined[0] != '/' {
			joined = "/" + joined
		}

		joined = "//" + p.Netloc + joined
	}

	if p.Scheme != "" {
		joined = p.Scheme + ":" + joined
	}

	if p.Query != "" {
		joined += "?" + p.Query
	}

	if p.Fragment != "" {
		joined += "#" + p.Fragment
	}

	return joined
}

// Hostname is the host in lower case without user, port and brackets; "" where Python has None.
func (p Parts) Hostname() string {
	host, _ := p.hostAndPort()
	host, zone, hasZone := strings.Cut(host, "%")

	host = strings.ToLower(host)
	if hasZone {
		host += "%" + zone
	}

	return host
}

// Port is the port as written; "" without one.
func (p Parts) Port() string {
	_, port := p.hostAndPort()

	return port
}

func (p Parts) hostAndPort() (host, port string) {
	address := p.Netloc[strings.LastIndexByte(p.Netloc, '@')+1:]
	if _, bracketed, found := strings.Cut(address, "["); found {
		host, after, _ := strings.Cut(bracketed, "]")
		_, port, _ = strings.Cut(after, ":")

		return host, port
	}

	host, port, _ = strings.Cut(address, ":")

	return host, port
}

func isScheme(s string) bool {
	for i, char := range []byte(s) {
		letter := 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z'
		other := '0' <= char && char <= '9' || char == '+' || char == '-' || char == '.'

		if !letter && (i == 0 || !other) {
			return false
		}
	}

	return s != ""
}

var futureAddress = regexp.MustCompile(`^v[a-fA-F0-9]+\..+$`)

// checkNetloc refuses unbalanced brackets, brackets around anything but an IPv6 address, and
// characters that turn into delimiters when an authority is normalised.
func checkNetloc(netloc string) error {
	if strings.Contains(netloc, "[") != strings.Contains(netloc, "]") {
		return ErrMalformed
	}

	if _, rest, bracketed := strings.Cut(netloc, "["); bracketed {
		host, _, _ := strings.Cut(rest, "]")

		address, err := netip.ParseAddr(host)
		if (err != nil || !address.Is6()) && !futureAddress.MatchString(host) {
			return ErrMalformed
		}
	}

	plain := strings.NewReplacer("@", "", ":", "", "#", "", "?", "").Replace(netloc)
	if normal := norm.NFKC.String(plain); normal != plain && strings.ContainsAny(normal, "/?#@:") {
		return ErrMalformed
	}

	return nil
}
