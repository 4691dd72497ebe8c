package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority signs certificates into the pki folder of one cluster.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// newKey makes a key and writes it to DIR/NAME.key.
func newKey(dir, name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(filepath.Join(dir, name+".key"), "EC PRIVATE KEY", der)
}

func template(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

func newAuthority(dir, name string) (*authority, error) {
	cert, err := template(pkix.Name{CommonName: name})
	if err != nil {
		return nil, err
	}
	cert.IsCA, cert.BasicConstraintsValid = true, true
	cert.KeyUsage |= x509.KeyUsageCertSign
	key, err := newKey(dir, name)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &authority{dir, cert, key}, writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der)
}

// issue writes DIR/NAME.crt and DIR/NAME.key, good for a server (at the loopback, and under the names that
// a pod uses) and for a client.
func (a *authority) issue(name string, subject pkix.Name) error {
	cert, err := template(subject)
	if err != nil {
		return err
	}
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	cert.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	cert.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
	key, err := newKey(a.dir, name)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePEM(filepath.Join(a.dir, name+".crt"), "CERTIFICATE", der)
}

func makePKI(dir string) error {
	ca, err := newAuthority(dir, "ca")
	if err != nil {
		return err
	}
	frontCA, err := newAuthority(dir, "front-ca")
	if err != nil {
		return err
	}
	_, err = newKey(dir, "service-account")
	return errors.Join(err,
		ca.issue("server", pkix.Name{CommonName: "kube-apiserver"}),
		ca.issue("admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}),
		frontCA.issue("front", pkix.Name{CommonName: "front"}))
}

// ensurePKI makes certificates and keys once: tokens and kubeconfigs given out stay good over restarts.
func ensurePKI(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh := dir + ".new"
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(fresh, 0o700)); err != nil {
		return err
	}
	if err := makePKI(fresh); err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

// clientTLS is what the admin presents and trusts.
func clientTLS(pki, client string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(pki, client+".crt"), filepath.Join(pki, client+".key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots}, nil
}

// writeKubeconfig writes the admin's, with everything in the one file, so that it can be copied anywhere.
func writeKubeconfig(path, pki, url string) error {
	config := clientcmdapi.NewConfig()
	ca, err1 := os.ReadFile(filepath.Join(pki, "ca.crt"))
	cert, err2 := os.ReadFile(filepath.Join(pki, "admin.crt"))
	key, err3 := os.ReadFile(filepath.Join(pki, "admin.key"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	config.Clusters["devcluster"] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: ca}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts["devcluster"] = &clientcmdapi.Context{Cluster: "devcluster", AuthInfo: "admin", Namespace: "default"}
	config.CurrentContext = "devcluster"
	return clientcmd.WriteToFile(*config, path)
}
