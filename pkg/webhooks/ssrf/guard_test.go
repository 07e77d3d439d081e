package ssrf

import (
	"context"
	_ "embed"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

//go:embed testdata/oracle.py
var oracleScript string

// names is a resolver that knows what it is told, and counts what it is asked.
type names struct {
	answers map[string][][]string // per name, the answers one after the other; the last one stays
	asked   atomic.Int32
}

func (n *names) LookupNetIP(_ context.Context, _, host string) (addresses []netip.Addr, err error) {
	asked := int(n.asked.Add(1)) - 1

	answers := n.answers[host]
	if len(answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}

	for _, text := range answers[min(asked, len(answers)-1)] {
		addresses = append(addresses, netip.MustParseAddr(text))
	}

	return addresses, nil
}

func oracle(t *testing.T, environment ...string) *pythontest.Oracle {
	t.Helper()

	python, err := pythontest.Start(environment, "-c", oracleScript)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, python.Close()) })

	return python
}

// stricter are the networks that some release of Python calls global and we don't.
var stricter = prefixes("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "::/96", "64:ff9b:1::/48", "100:0:0:1::/64",
	"3fff::/20", "5f00::/16", "fec0::/10", "ff00::/8")

func TestIsPublic(t *testing.T) {
	python := oracle(t)
	generator := rand.New(rand.NewPCG(1, 2))

	var samples []netip.Addr

	for _, network := range append(append(nonPublic, sixToFour, nat64), stricter...) {
		first := network.Masked().Addr()
		samples = append(samples, first, first.Next())

		if before := first.Prev(); before.IsValid() {
			samples = append(samples, before)
		}

		last := first.AsSlice()
		for bit := network.Bits(); bit < first.BitLen(); bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}

		end, _ := netip.AddrFromSlice(last)
		samples = append(samples, end)

		if after := end.Next(); after.IsValid() {
			samples = append(samples, after)
		}
	}

	for _, sample := range samples { // and each IPv4 one inside of IPv6
		if sample.Is4() {
			four := sample.As4()
			mapped := netip.AddrFrom16(sample.As16())
			samples = append(samples, mapped,
				netip.AddrFrom16([16]byte{0x20, 0x02, four[0], four[1], four[2], four[3], 15: 1}),
				netip.AddrFrom16([16]byte{1: 0x64, 2: 0xff, 3: 0x9b, 12: four[0], 13: four[1], 14: four[2], 15: four[3]}))
		}
	}

	for range 200 {
		samples = append(samples, netip.AddrFrom4([4]byte{
			byte(generator.Uint32()), byte(generator.Uint32()), byte(generator.Uint32()), byte(generator.Uint32()),
		}))
	}

	for _, sample := range samples {
		var want bool

		python.Ask(t, map[string]string{"address": sample.String()}, &want)

		for _, network := range stricter {
			want = want && !network.Contains(embeddedIPv4(sample))
		}

		require.Equal(t, want, IsPublic(sample), sample)
	}

	require.False(t, IsPublic(netip.Addr{}))
	require.False(t, IsPublic(netip.MustParseAddr("fe80::1%eth0")))
}

func TestParseLiteral(t *testing.T) {
	python := oracle(t)

	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "0x7f.0.0.0x1", "0", "00",
		"08", "0x", "1.", ".1", "1.2.3.4.5", "256.1.1.1", "1.256.1.1", "1.1.65535", "1.1.65536", "1.16777215", "1.16777216",
		"4294967295", "4294967296", "+1", "-1", "1_0", "0x1_0", "037777777777", "::1", "::ffff:127.0.0.1", "1.2.3.4 ", "0b1",
	} {
		var want string

		python.Ask(t, map[string]string{"host": host}, &want)

		got := ""
		if address, ok := parseLiteral(host); ok {
			got = format(address)
		}

		require.Equal(t, want, got, host)
	}
}

func TestCheckURL(t *testing.T) {
	python := oracle(t, "MLFLOW_WEBHOOK_ALLOWED_SCHEMES= https, http,x-y ")
	guard := NewGuard([]string{"https", "http", "x-y"}, false, &names{})

	for _, url := range []string{
		"", " ", "https://8.8.8.8/", "http://8.8.8.8:1/", "X-Y://8.8.8.8", "ftp://8.8.8.8", "https:8.8.8.8", "https:/8.8.8.8",
		"https://[::ffff:10.0.0.1]", "https://[fe80::1]", "https://[1.2.3.4]", "https://]",
		"https://[", "https://[]", "https://[v1.x]", "https://[vx]", "https://a\u2100c",
		"https://a\u2488com", "https://unknown.invalid", "https://a..b", "https://.a", "https://a.", "ht\ntps://127.0.0.1",
		"\x00https://127.1", "https://8.8.8.8\x00@127.0.0.1", "https://'127.0.0.1'", "https://\uff11\u3002\uff11",
		"https://127\u30020\u30020\u30021/",
	} {
		var want string

		python.Ask(t, map[string]string{"url": url}, &want)

		got := ""
		if err := guard.CheckURL(t.Context(), url); err != nil {
			got = contract.AsError(err).Message
		}

		require.Equal(t, want, got, "%q", url)
	}
}

func TestCheckURLRefusesTextBesideBrackets(t *testing.T) {
	guard := NewGuard([]string{"https"}, true, &names{})

	for _, url := range []string{"https://[2606::1]x", "https://a[2606::1]", "https://u@[2606::1]x:1/", "https://u@a[2606::1]"} {
		require.Equal(t, "Invalid webhook URL '"+url+"': ValueError('Invalid IPv6 URL')",
			contract.AsError(guard.CheckURL(t.Context(), url)).Message)
	}

	require.NoError(t, guard.CheckURL(t.Context(), "https://u@[2606::1]:443/x[y]z"))
}

func TestCheckURLResolves(t *testing.T) {
	guard := NewGuard([]string{"https"}, false, &names{answers: map[string][][]string{
		"public.test": {{"8.8.8.8", "2606:4700::1"}}, "mixed.test": {{"8.8.8.8", "10.0.0.1"}},
		"mapped.test": {{"::ffff:10.0.0.1"}}, "xn--mnchen-3ya.test": {{"192.168.0.1"}}, "meta.test.": {{"169.254.169.254"}},
	}})

	require.NoError(t, guard.CheckURL(t.Context(), "https://PUBLIC.test/"))

	for url, want := range map[string]string{
		"https://mixed.test":   "'mixed.test' resolves to 10.0.0.1.",
		"https://mapped.test":  "'mapped.test' resolves to 10.0.0.1.",
		"https://münchen.test": "'münchen.test' resolves to 192.168.0.1.",
		"https://meta.test.":   "'meta.test.' resolves to 169.254.169.254.",
	} {
		require.Equal(t, "Webhook URL must not resolve to a non-public IP address. "+want,
			contract.AsError(guard.CheckURL(t.Context(), url)).Message)
	}

	require.NoError(t, NewGuard([]string{"https"}, true, &names{}).CheckURL(t.Context(), "https://127.0.0.1"))
}

// stuck is a resolver that never answers.
type stuck struct{}

func (stuck) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()

	return nil, ctx.Err()
}

func TestCheckURLTimesOut(t *testing.T) {
	guard := NewGuard([]string{"https"}, false, stuck{})
	errs := make(chan error)

	for range maxResolutions + 1 {
		go func() { errs <- guard.CheckURL(context.Background(), "https://slow.test") }()
	}

	begun := time.Now()
	late := 0

	for range maxResolutions + 1 {
		message := contract.AsError(<-errs).Message
		if strings.HasPrefix(message, "Timed out waiting to resolve Webhook URL hostname 'slow.test' because") {
			late++
		} else {
			require.Equal(t, "Timed out resolving Webhook URL hostname 'slow.test' after 5 seconds", message)
		}
	}

	require.LessOrEqual(t, late, 1)
	require.Less(t, time.Since(begun), 2*resolutionTimeout+time.Second)
}

// listen counts connections to a local port.
func listen(t *testing.T) (port string, connections *atomic.Int32) {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })

	connections = &atomic.Int32{}

	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			connections.Add(1)

			_ = conn.Close()
		}
	}()

	_, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	return port, connections
}

func TestDialContext(t *testing.T) {
	port, connections := listen(t)

	t.Run("ErrRebound", func(t *testing.T) {
		resolver := &names{answers: map[string][][]string{"rebind.test": {{"8.8.8.8"}, {"127.0.0.1"}}}}
		guard := NewGuard([]string{"http"}, false, resolver)

		require.NoError(t, guard.CheckURL(t.Context(), "http://rebind.test:"+port))

		_, err := guard.DialContext(t.Context(), "tcp", "rebind.test:"+port)
		require.EqualError(t, err, "Webhook connection blocked: 127.0.0.1 is not a public IP address. "+
			"This may indicate a DNS rebinding attempt.")
		require.EqualValues(t, 2, resolver.asked.Load())
	})

	t.Run("ErrPrivate", func(t *testing.T) {
		guard := NewGuard([]string{"http"}, false, &names{answers: map[string][][]string{
			"mixed.test": {{"127.0.0.1", "8.8.8.8"}}, "mixed2.test": {{"8.8.8.8", "127.0.0.1"}},
		}})

		for _, host := range []string{
			"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
			"0.0.0.0", "::", "mixed.test", "mixed2.test", "\uff11\uff12\uff17.0.0.1", "fe80::1%lo",
		} {
			_, err := guard.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))

			if host == "localhost" { // this resolver doesn't know it
				require.Error(t, err)

				continue
			}

			_, blocked := errors.AsType[*BlockedError](err)
			require.True(t, blocked, "%s: %v", host, err)
		}
	})

	t.Run("ErrPeer", func(t *testing.T) {
		// The socket's peer is judged whatever it was resolved from.
		guard := NewGuard([]string{"http"}, false, &names{})
		dialer := &net.Dialer{ControlContext: guard.control}

		_, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:"+port)

		_, blocked := errors.AsType[*BlockedError](err)
		require.True(t, blocked, err)
	})

	require.Zero(t, connections.Load())

	t.Run("OK", func(t *testing.T) {
		// What answers nothing at one address may at the next; each has its part of the time.
		guard := NewGuard([]string{"http"}, true, &names{answers: map[string][][]string{
			"local.test": {{"127.0.0.2", "127.0.0.1"}},
		}})

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()

		conn, err := guard.DialContext(ctx, "tcp", "local.test:"+port)
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:"+port, conn.RemoteAddr().String())
		require.NoError(t, conn.Close())
	})
}
