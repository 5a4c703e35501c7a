// Package postgrestest starts PostgreSQL servers to test against and to measure with: private ones, in a temporary folder and on
// a random port of the loopback interface, made by the programs of Debian's package postgresql or of the PATH. With
// TEST_POSTGRES_URL the server of that database is used instead. Where there is neither, [Start] fails and says so: no test is
// left out.
package postgrestest

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
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options are what a server is made with.
type Options struct {
	// Fsync makes commits durable on the disk, as measurements need it. Tests are quicker without.
	Fsync bool
	// Own asks for a private server even where TEST_POSTGRES_URL names one: for tests that crash it, and measurements.
	Own bool
}

// A Server is a PostgreSQL to test against: a private cluster, or that of TEST_POSTGRES_URL, whose database is then the
// tests' to fill.
type Server struct {
	url string // of a database that anything may be made in
	bin string // empty for a server that is not ours
	dir string
	who *syscall.Credential
	ca  string // file of the certificate
}

// Start makes and starts a server. [Server.Stop] has to follow.
func Start(o Options) (*Server, error) {
	if u := os.Getenv("TEST_POSTGRES_URL"); u != "" && !o.Own {
		return &Server{url: u}, nil
	}
	bin, err := findServer()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "snowbot-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, ca: filepath.Join(dir, "server.crt")}
	if err := s.start(o.Fsync); err != nil {
		s.Stop()
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
	return "", errors.New("there is no PostgreSQL to start: apt-get install -y postgresql, or for tests set TEST_POSTGRES_URL to a database that may be filled")
}

func (s *Server) start(fsync bool) error {
	if os.Geteuid() == 0 { // the server refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres to run it: %w", err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		s.who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	data := s.data()
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
	if !fsync { // no measurement
		conf += "fsync = off\nlog_statement = all\nlog_parameter_max_length_on_error = -1\n"
	}
	if err := s.configure(conf); err != nil {
		return err
	}
	if err := s.Up(); err != nil {
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

// configure adds settings, of which the last ones count.
func (s *Server) configure(settings string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(settings)
	return errors.Join(err, f.Close())
}

// certificate makes the server's certificate, its own authority.
func (s *Server) certificate() error {
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
func (s *Server) run(name string, args ...string) error {
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

// URL is that of a database in which anything may be made.
func (s *Server) URL() string { return s.url }

// Stop ends the server, and removes what it kept. One that is not ours goes on.
func (s *Server) Stop() {
	if s.bin == "" {
		return
	}
	_ = s.run("pg_ctl", "-D", s.data(), "-m", "immediate", "-w", "stop")
	os.RemoveAll(s.dir)
}

// Log is what the server has logged: every statement with its parameters, unless it is not ours or there for measurements.
func (s *Server) Log() ([]byte, error) {
	if s.bin == "" {
		return nil, nil
	}
	return os.ReadFile(s.logFile())
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Crash ends the server as a crash would, cutting all connections; [Server.Up] starts it again.
func (s *Server) Crash() error {
	return s.run("pg_ctl", "-D", s.data(), "-m", "immediate", "-w", "stop")
}

// Up starts the server that was stopped, and waits until it has recovered.
func (s *Server) Up() error {
	return s.run("pg_ctl", "-D", s.data(), "-l", s.logFile(), "-w", "-t", "60", "start")
}

// Restart restarts the server as after a crash, or cuts all connections of one that is not ours.
func (s *Server) Restart(ctx context.Context) error {
	if s.bin != "" {
		return errors.Join(s.Crash(), s.Up())
	}
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user")
	return err
}

// Certificate is the file of the certificate that the server shows, and is its own authority; "" for one that is not ours.
func (s *Server) Certificate() string { return s.ca }

// TB is a test or a benchmark. The package does not import testing, since it is part of a program that measures itself.
type TB interface {
	Helper()
	Fatal(args ...any)
	Context() context.Context
}

// Connect connects to a database; the caller closes the connection.
func (s *Server) Connect(t TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Schema makes an empty schema for a name, if there is none yet, and returns the URL that uses it.
func (s *Server) Schema(t TB, name string) string {
	t.Helper()
	h := fnv.New128a()
	h.Write([]byte(name))
	schema := "t" + hex.EncodeToString(h.Sum(nil))
	conn := s.Connect(t, s.url)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	return With(t, s.url, "search_path", schema)
}

// With returns a URL with a parameter set, or without it when the value is empty.
func With(t TB, u, name, value string) string {
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

// freePort returns a port that nobody listens on. It is below those that the system gives away, so that no connection takes it
// before the server does, or while that is down.
func freePort() (int, error) {
	const lowest, highest = 10_000, 30_000
	for try := 0; ; try++ {
		port := lowest + mathrand.IntN(highest-lowest)
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
		if try == 100 {
			return 0, err
		}
	}
}

// CPU returns the time that the processors have spent on the server's processes that live, or 0 where there is no /proc.
func (s *Server) CPU() time.Duration {
	pids, err := s.processes()
	if err != nil {
		return 0
	}
	var ticks int
	for _, pid := range pids[1:] { // the first one only waits
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 12 {
			user, _ := strconv.Atoi(fields[11])
			system, _ := strconv.Atoi(fields[12])
			ticks += user + system
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
