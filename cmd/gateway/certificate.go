package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// selfSignedDays is as long as mail apps accept a certificate for.
const selfSignedDays = 825

// certificate returns what mail apps are shown: the configured one, or a self-signed one that
// is made in data. The warning is empty when there is nothing to say.
func certificate(c Config, now time.Time) (cert tls.Certificate, warning string, err error) {
	if c.TLS.Cert != "" {
		cert, err = tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return cert, "", &configError{problems{{Code: codeCertificate, File: c.TLS.Cert, Text: "tls.cert and tls.key are no certificate and its key",
				Fix: "both must be PEM files that the program's account may read, and belong together"}}}
		}
		return cert, "", nil
	}
	dir := filepath.Join(c.Data, "tls")
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	warning = fmt.Sprintf("tls.cert is empty: mail apps are shown a self-signed certificate, %s; give them that file to trust, or set tls.cert and tls.key", certFile)
	cert, err = tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil && usable(cert, c.Hostname, now) {
		return cert, warning, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return cert, "", fmt.Errorf("self-signed certificate: %w", err)
	}
	certPEM, keyPEM, err := selfSigned(c.Hostname, now)
	if err != nil {
		return cert, "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cert, "", fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := errors.Join(os.WriteFile(keyFile, keyPEM, 0o600), os.WriteFile(certFile, certPEM, 0o644)); err != nil {
		return cert, "", fmt.Errorf("self-signed certificate: %w", err)
	}
	cert, err = tls.X509KeyPair(certPEM, keyPEM)
	return cert, warning, err
}

// webTLS is what the web listener shows; nil: it speaks in clear.
func webTLS(c Config) (*tls.Config, error) {
	if c.HTTP.Address == "" || c.HTTP.TLS.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.HTTP.TLS.Cert, c.HTTP.TLS.Key)
	if err != nil {
		return nil, &configError{fmt.Errorf("http.tls: the certificate cannot be used: %w", err)}
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// usable reports whether a certificate that we made still fits.
func usable(cert tls.Certificate, hostname string, now time.Time) bool {
	return cert.Leaf != nil && now.Before(cert.Leaf.NotAfter) && cert.Leaf.VerifyHostname(hostname) == nil
}

// selfSigned makes a key and a certificate for hostname and loopback.
func selfSigned(hostname string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	t := x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: hostname},
		DNSNames:              []string{hostname},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(0, 0, selfSignedDays),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that a mail app can be told to trust it
	}
	if hostname != "localhost" {
		t.DNSNames = append(t.DNSNames, "localhost")
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &t, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// trusting returns a pool that holds only this certificate.
func trusting(cert tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	if cert.Leaf != nil {
		pool.AddCert(cert.Leaf)
	}
	return pool
}

// certPool reads the authorities in a PEM file.
func certPool(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}
