package ssrf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/idna"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

const (
	// resolutionTimeout is how long a client waits for a host's addresses, and for its turn to ask.
	resolutionTimeout = 5 * time.Second
	// maxResolutions is how many clients' hosts are resolved at a time.
	maxResolutions = 8
)

// Resolver finds the addresses of a host; net.DefaultResolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Guard judges URLs and connections. It is safe for concurrent use.
type Guard struct {
	schemes      []string
	allowPrivate bool
	resolver     Resolver
	resolutions  chan struct{}
}

// NewGuard makes a guard that allows these schemes, spelled in lower case, and addresses of private
// networks if asked to (MLFLOW_WEBHOOK_ALLOWED_SCHEMES, MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS).
func NewGuard(schemes []string, allowPrivate bool, resolver Resolver) *Guard {
	return &Guard{
		schemes: schemes, allowPrivate: allowPrivate, resolver: resolver,
		resolutions: make(chan struct{}, maxResolutions),
	}
}

// BlockedError is a connection that was refused because of its peer
// (mlflow.webhooks.ssrf.SSRFProtectionError).
type BlockedError struct{ Peer netip.Addr }

func (e *BlockedError) Error() string {
	return fmt.Sprintf("Webhook connection blocked: %s is not a public IP address. "+
		"This may indicate a DNS rebinding attempt.", format(e.Peer))
}

// CheckURL says, as INVALID_PARAMETER_VALUE, why no webhook may have a URL
// (validation._validate_webhook_url).
func (g *Guard) CheckURL(ctx context.Context, raw string) error {
	host, err := g.checkSpelling(raw)
	if err != nil || g.allowPrivate {
		return err
	}

	addresses, err := g.resolveInTurn(ctx, host)
	if err != nil {
		return err
	}

	for _, address := range addresses {
		if !IsPublic(address) {
			return contract.InvalidParameter("Webhook URL must not resolve to a non-public IP address. %s resolves to %s.",
				pyfmt.Repr(host), format(address))
		}
	}

	return nil
}

// CheckScheme judges a URL without its addresses: for one that is about to be connected to, which
// DialContext looks after.
func (g *Guard) CheckScheme(raw string) error {
	_, err := g.checkSpelling(raw)

	return err
}

// DialContext connects to the host and port of an address, for an http.Transport. It resolves the
// host, refuses all of it with a [*BlockedError] if one address isn't public, and connects to what
// it has judged; the socket is judged again by the peer that it is to have.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}

	found, err := g.resolve(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", host, err)
	}

	for _, candidate := range found {
		if err := g.checkPeer(candidate); err != nil {
			return nil, err
		}
	}

	dialer := &net.Dialer{ControlContext: g.control}

	var failures []error

	for i, candidate := range found {
		conn, err := dialWithin(ctx, share(ctx, len(found)-i), dialer, network, net.JoinHostPort(candidate.String(), port))
		if err == nil {
			return conn, nil
		}

		failures = append(failures, err)
	}

	return nil, errors.Join(failures...)
}

func (g *Guard) checkSpelling(raw string) (host string, err error) {
	if strings.TrimFunc(raw, pyfmt.IsSpace) == "" {
		return "", contract.InvalidParameter("Webhook URL cannot be empty or just whitespace: %s", pyfmt.Repr(raw))
	}

	parts, err := uri.Parse(raw)
	if err != nil || !isBracketed(netlocOf(raw)) {
		return "", contract.InvalidParameter("Invalid webhook URL %s: %s", pyfmt.Repr(raw), describeMalformed(raw))
	}

	if !slices.Contains(g.schemes, parts.Scheme) {
		return "", contract.InvalidParameter("Invalid webhook URL scheme: %s. Allowed schemes are: %s.",
			pyfmt.Repr(parts.Scheme), strings.Join(g.schemes, ", "))
	}

	if host = parts.Hostname(); host == "" {
		return "", contract.InvalidParameter("Webhook URL must include a hostname: %s", pyfmt.Repr(raw))
	}

	return host, nil
}

// netlocOf is what stands between a URL's slashes and its path.
func netlocOf(raw string) string {
	_, rest, _ := strings.Cut(raw, "//")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}

	return rest
}

// isBracketed tells whether nothing but a port stands beside the brackets of an IPv6 address. Older
// releases of Python than 3.11.12 and 3.12.9 don't mind.
func isBracketed(netloc string) bool {
	_, host, found := strings.Cut(netloc, "@")
	if !found {
		host = netloc
	}

	before, rest, opened := strings.Cut(host, "[")
	_, after, _ := strings.Cut(rest, "]")

	return !opened || before == "" && (after == "" || strings.HasPrefix(after, ":"))
}

// describeMalformed is the repr() of the ValueError that urllib.parse raises for a URL which
// uri.Parse refuses.
func describeMalformed(raw string) string {
	netloc := netlocOf(raw)
	_, bracketed, opened := strings.Cut(netloc, "[")
	inside, _, closed := strings.Cut(bracketed, "]")
	address, err := netip.ParseAddr(inside)

	var reason string

	switch {
	case opened != strings.Contains(netloc, "]") || opened && !closed || !isBracketed(netloc):
		reason = "Invalid IPv6 URL"
	case opened && strings.HasPrefix(inside, "v"):
		reason = "IPvFuture address is invalid"
	case opened && err == nil && address.Is4():
		reason = "An IPv4 address cannot be in brackets"
	case opened && err != nil:
		reason = pyfmt.Repr(inside) + " does not appear to be an IPv4 or IPv6 address"
	default:
		reason = "netloc '" + netloc + "' contains invalid characters under NFKC normalization"
	}

	return "ValueError(" + pyfmt.Repr(reason) + ")"
}

// resolveInTurn resolves a host for a client, who is told what went wrong
// (validation._resolve_hostname_with_timeout).
func (g *Guard) resolveInTurn(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolutionTimeout)
	defer cancel()

	select {
	case g.resolutions <- struct{}{}:
		defer func() { <-g.resolutions }()
	case <-ctx.Done():
		return nil, contract.InvalidParameter("Timed out waiting to resolve Webhook URL hostname %s because "+
			"too many hostname resolutions are already in progress", pyfmt.Repr(host))
	}

	addresses, err := g.resolve(ctx, host)

	switch {
	case err == nil:
		return addresses, nil
	case ctx.Err() != nil:
		return nil, contract.InvalidParameter("Timed out resolving Webhook URL hostname %s after %g seconds",
			pyfmt.Repr(host), resolutionTimeout.Seconds())
	default:
		return nil, contract.InvalidParameter("Cannot resolve Webhook URL hostname %s: %s", pyfmt.Repr(host),
			describeLookup(err))
	}
}

// errLabel is the failure of Python's idna codec, in its words.
var errLabel = errors.New("encoding with 'idna' codec failed (UnicodeError: label empty or too long)")

// maxLabel is how long a label of a host's name may be.
const maxLabel = 63

// resolve finds a host's addresses. Every connection and every judgement goes through here, so that
// both mean the same by a name.
func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	ascii, err := toASCII(host)
	if err != nil {
		return nil, err
	}

	if address, ok := parseLiteral(ascii); ok {
		return []netip.Addr{address}, nil
	}

	addresses, err := g.resolver.LookupNetIP(ctx, "ip", ascii)
	if err != nil {
		return nil, err
	}

	if len(addresses) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}

	for i, address := range addresses {
		addresses[i] = address.Unmap() // the resolver's way of saying IPv4
	}

	return addresses, nil
}

// toASCII is a host as the resolver wants it; only one with other characters is changed.
func toASCII(host string) (string, error) {
	if strings.Contains(host, ":") {
		return host, nil // an IPv6 address
	}

	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	if slices.ContainsFunc(labels, func(label string) bool {
		return label == "" || len(label) > maxLabel && isASCII(label)
	}) {
		return "", errLabel
	}

	if isASCII(host) {
		return host, nil
	}

	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", &net.DNSError{Err: err.Error(), Name: host, IsNotFound: true} // no such name can exist
	}

	return ascii, nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(char rune) bool { return char > '\x7f' })
}

// describeLookup is str() of the exception that Python's getaddrinfo raises.
func describeLookup(err error) string {
	failure, ok := errors.AsType[*net.DNSError](err)

	switch {
	case !ok:
		return err.Error()
	case failure.IsNotFound:
		return "[Errno -2] Name or service not known"
	case failure.Temporary():
		return "[Errno -3] Temporary failure in name resolution"
	default:
		return "[Errno -4] Non-recoverable failure in name resolution"
	}
}

// share is what one of several addresses may take of the time that is left.
func share(ctx context.Context, addresses int) time.Time {
	deadline, limited := ctx.Deadline()
	if !limited || addresses == 1 {
		return deadline
	}

	return time.Now().Add(time.Until(deadline) / time.Duration(addresses))
}

func dialWithin(
	ctx context.Context, deadline time.Time, dialer *net.Dialer, network, address string,
) (net.Conn, error) {
	if !deadline.IsZero() {
		var cancel context.CancelFunc

		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}

	return dialer.DialContext(ctx, network, address)
}

// control is called with the address that a socket is about to be connected to.
func (g *Guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	peer, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("judging the peer: %w", err)
	}

	return g.checkPeer(peer.Addr())
}

func (g *Guard) checkPeer(peer netip.Addr) error {
	if g.allowPrivate || IsPublic(peer) {
		return nil
	}

	return &BlockedError{Peer: peer}
}
