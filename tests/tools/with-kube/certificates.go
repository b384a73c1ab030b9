//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// writeCertificates makes an authority, a certificate for all servers, one for the administrator, who all daemons are, and a
// key for the tokens of service accounts.
func (c *cluster) writeCertificates() error {
	now := time.Now()
	template := func(serial int64, name pkix.Name) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: name, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		}
	}
	authority := template(1, pkix.Name{CommonName: "test"})
	authority.IsCA, authority.KeyUsage = true, x509.KeyUsageCertSign
	server := template(2, pkix.Name{CommonName: "server"})
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.IPAddresses = []net.IP{net.ParseIP(nodeName), net.ParseIP(c.address(nodeNumber)), net.ParseIP(serverService)}
	admin := template(3, pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	admin.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

	authorityKey, err := c.writeKey("ca.key")
	if err != nil {
		return err
	}
	for name, certificate := range map[string]*x509.Certificate{"ca": authority, "server": server, "admin": admin} {
		key := authorityKey
		if certificate != authority {
			if key, err = c.writeKey(name + ".key"); err != nil {
				return err
			}
		}
		content, err := x509.CreateCertificate(rand.Reader, certificate, authority, key.Public(), authorityKey)
		if err != nil {
			return err
		}
		if err := writePEM(c.path(name+".crt"), "CERTIFICATE", content); err != nil {
			return err
		}
	}
	_, err = c.writeKey("accounts.key")
	return err
}

func (c *cluster) writeKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	content, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(c.path(name), "EC PRIVATE KEY", content)
}

func writePEM(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}
