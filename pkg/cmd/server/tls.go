package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/mlflow/mlflow-go/pkg/config"
)

// Python's ssl.VerifyMode.
const (
	certOptional = 1
	certRequired = 2
)

var (
	errNoKey        = errors.New("no private key in it")
	errNoAuthority  = errors.New("no certificate in it")
	errEncryptedKey = errors.New("it is encrypted in a form that isn't supported; decrypt it with `openssl pkey`")
)

func newTLSListener(listener net.Listener, config *tls.Config) net.Listener {
	return tls.NewListener(listener, config)
}

// tlsConfig reads the certificates; without any it returns nil: plain HTTP. A missing key file means
// that the certificate's file holds the key too, as in Python.
func tlsConfig(settings config.TLS) (*tls.Config, error) {
	if settings.CertFile == "" {
		return nil, nil //nolint:nilnil // no TLS is no error
	}

	chain, err := os.ReadFile(settings.CertFile)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS certificate: %w", err)
	}

	keyFile := settings.KeyFile
	if keyFile == "" {
		keyFile = settings.CertFile
	}

	key, err := privateKey(keyFile, settings.Password)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS key %s: %w", keyFile, err)
	}

	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS certificate %s: %w", settings.CertFile, err)
	}

	secure := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}

	switch settings.CertReqs {
	case certOptional:
		secure.ClientAuth = tls.VerifyClientCertIfGiven
	case certRequired:
		secure.ClientAuth = tls.RequireAndVerifyClientCert
	}

	if settings.CACerts != "" {
		authorities, err := os.ReadFile(settings.CACerts)
		if err != nil {
			return nil, fmt.Errorf("reading the TLS authorities: %w", err)
		}

		secure.ClientCAs = x509.NewCertPool()
		if !secure.ClientCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("reading the TLS authorities %s: %w", settings.CACerts, errNoAuthority)
		}
	}

	return secure, nil
}

// privateKey finds the key in a PEM file and decrypts it if it is encrypted in the traditional way.
func privateKey(file, password string) ([]byte, error) {
	rest, err := os.ReadFile(file) //nolint:gosec // the operator's file
	if err != nil {
		return nil, err
	}

	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errNoKey
		}

		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY":
			return nil, errEncryptedKey
		case x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // weak, yet what the operator has
			decrypted, err := x509.DecryptPEMBlock(block, []byte(password)) //nolint:staticcheck // as above
			if err != nil {
				return nil, err
			}

			return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: decrypted}), nil
		case block.Type == "PRIVATE KEY", block.Type == "RSA PRIVATE KEY", block.Type == "EC PRIVATE KEY":
			return pem.EncodeToMemory(block), nil
		}
	}
}
