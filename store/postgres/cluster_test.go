package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/fnv"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A server is a PostgreSQL to test against: a cluster of its own in a temporary folder, or that of
// TEST_POSTGRES_URL, whose database is then the test's to fill.
type server struct {
	url string // of a database that anything may be made in
	bin string // empty for a server that is not ours
	dir string
	who *syscall.Credential
	ca  string // file of the certificate
}

// startServer makes and starts a cluster. Fsync is on when a measurement needs it.
func startServer(fsync bool) (*server, error) {
	if u := os.Getenv("TEST_POSTGRES_URL"); u != "" {
		return &server{url: u}, nil
	}
	bin, err := findServer()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "snowbot-postgres-")
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, dir: dir, ca: filepath.Join(dir, "server.crt")}
	if err := s.start(fsync); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// findServer looks where Debian and the PATH have the server's programs.
func findServer() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			found = append(found, p)
		}
	}
	for i := len(found) - 1; i >= 0; i-- {
		if _, err := os.Stat(filepath.Join(filepath.Dir(found[i]), "pg_ctl")); err == nil {
			return filepath.Dir(found[i]), nil
		}
	}
	return "", errors.New("these tests need PostgreSQL: apt-get install -y postgresql, or set TEST_POSTGRES_URL to a database that may be filled")
}

func (s *server) start(fsync bool) error {
	if os.Geteuid() == 0 { // the server refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return fmt.Errorf("these tests run as root, and there is no user postgres to run the server: %w", err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		s.who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run("initdb", "-D", data, "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"); err != nil {
		return err
	}
	if err := s.certificate(); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	conf := fmt.Sprintf("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nmax_connections = 400\n"+
		"shared_buffers = 64MB\nssl = on\nssl_cert_file = '%s'\nssl_key_file = '%s'\nlog_min_messages = error\n",
		port, s.dir, s.ca, filepath.Join(s.dir, "server.key"))
	if !fsync {
		conf += "fsync = off\n"
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(conf)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.run("pg_ctl", "-D", data, "-l", filepath.Join(s.dir, "log"), "-w", "-t", "60", "start"); err != nil {
		return err
	}
	// An ordinary role, as in earnest.
	admin := fmt.Sprintf("postgres://admin@127.0.0.1:%d/postgres?sslmode=disable", port)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range []string{"CREATE ROLE snowbot LOGIN", "CREATE DATABASE snowbot OWNER snowbot"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	s.url = fmt.Sprintf("postgres://snowbot@127.0.0.1:%d/snowbot?sslmode=disable", port)
	return nil
}

// certificate makes the server's certificate, its own authority.
func (s *server) certificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	keyFile := filepath.Join(s.dir, "server.key")
	err = errors.Join(
		os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	if err == nil && s.who != nil {
		err = errors.Join(os.Chown(keyFile, int(s.who.Uid), int(s.who.Gid)), os.Chown(s.ca, int(s.who.Uid), int(s.who.Gid)))
	}
	return err
}

// run runs one of the server's programs as its user.
func (s *server) run(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.who}
	out, err := os.CreateTemp("", "snowbot-"+name)
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out // a pipe would stay open in the server
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return nil
}

func (s *server) stop() {
	if s.bin == "" {
		return
	}
	_ = s.run("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-m", "immediate", "-w", "stop")
	os.RemoveAll(s.dir)
}

// crash restarts the server as after a crash, or cuts all connections of one that is not ours.
func (s *server) crash(t testing.TB) {
	t.Helper()
	if s.bin != "" {
		data := filepath.Join(s.dir, "data")
		if err := s.run("pg_ctl", "-D", data, "-l", filepath.Join(s.dir, "log"), "-m", "immediate", "-w", "restart"); err != nil {
			t.Fatal(err)
		}
		return
	}
	conn := s.connect(t, s.url)
	defer conn.Close(context.Background())
	_, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user")
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// schema makes an empty schema for a name, if there is none yet, and returns the URL that uses it.
func (s *server) schema(t testing.TB, name string) string {
	t.Helper()
	h := fnv.New128a()
	h.Write([]byte(name))
	schema := "t" + hex.EncodeToString(h.Sum(nil))
	conn := s.connect(t, s.url)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	return with(t, s.url, "search_path", schema)
}

// with returns a URL with a parameter set, or without it when the value is empty.
func with(t testing.TB, u, name, value string) string {
	t.Helper()
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	q := parsed.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	parsed.RawQuery = q.Encode()
	return parsed.String()
}

func freePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	return strconv.Atoi(port)
}
