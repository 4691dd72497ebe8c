package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/tools/clientcmd"
)

// What keeps objects and accounts in order. No controllers for pods and nodes: nothing runs here, and each
// costs idle CPU.
var controllerNames = []string{
	"clusterrole-aggregation-controller",
	"disruption-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"persistentvolumeclaim-protection-controller", // else a namespace with claims is never gone
	"resourcequota-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"statefulset-controller",
}

const readyTimeout = 120 * time.Second

func serverURL(port int) string { return fmt.Sprintf("https://127.0.0.1:%d", port) }

func kubeconfigPath(dir string) string { return filepath.Join(dir, "kubeconfig") }

// startEtcd serves on a Unix socket in the working directory, named relative to it: no port to find, no one
// else on the machine to keep out, and no limit on the length of the path of DIR. etcd wants names like HOST:PORT.
func startEtcd() (*embed.Etcd, error) {
	client, peer := url.URL{Scheme: "unix", Host: "etcd:1"}, url.URL{Scheme: "unix", Host: "etcd:2"}
	cfg := embed.NewConfig()
	cfg.Dir = "etcd"
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true                                                   // the data may go with the machine
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // else each request is a warning
	cfg.LogLevel, cfg.LogOutputs = "warn", []string{"etcd.log"}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(readyTimeout):
		return nil, errors.New("etcd is not ready")
	}
}

func apiserverArgs(port int, o options) []string {
	args := []string{
		"--etcd-servers=unix://etcd:1",
		"--secure-port=" + strconv.Itoa(port),
		"--permit-port-sharing", // with reservePort
		"--tls-cert-file=pki/server.crt",
		"--tls-private-key-file=pki/server.key",
		"--client-ca-file=pki/ca.crt",
		"--requestheader-client-ca-file=pki/front-ca.crt",
		"--requestheader-allowed-names=front",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=pki/service-account.key",
		"--service-account-signing-key-file=pki/service-account.key",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--profiling=false",
	}
	if o.nodes > 0 { // Pods reach it through Service kubernetes, so its address must not be a loopback's
		args = append(args, "--bind-address=0.0.0.0", "--advertise-address="+nodeAddress,
			"--kubelet-preferred-address-types=InternalIP")
	} else {
		args = append(args, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none")
	}
	if o.openshift {
		// blockOwnerDeletion needs rights on the owner's finalizers, and a change of owners the right to delete.
		args = append(args, "--enable-admission-plugins=OwnerReferencesPermissionEnforcement")
	}
	return args
}

func controllerArgs(o options) []string {
	names := controllerNames
	if o.nodes > 0 {
		names = append(slices.Clone(names), nodeControllerNames...)
	}
	return []string{
		"--kubeconfig=apiserver.kubeconfig",
		"--controllers=" + strings.Join(names, ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--service-account-private-key-file=pki/service-account.key",
		"--root-ca-file=pki/ca.crt",
		"--profiling=false",
	}
}

// reservePort keeps a port of the loopback for this process without listening on it; kube-apiserver, which
// may share it, then has the same port after each restart. The one of the last run is taken if it is free.
func reservePort(file string) (int, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	const soReusePort = 15 // package syscall lacks it
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
		return 0, err
	}
	address := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	last, _ := os.ReadFile(file)
	address.Port, _ = strconv.Atoi(strings.TrimSpace(string(last)))
	if err := syscall.Bind(socket, address); err != nil {
		address.Port = 0
		if err := syscall.Bind(socket, address); err != nil {
			return 0, err
		}
	}
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, err
	}
	port := bound.(*syscall.SockaddrInet4).Port
	return port, os.WriteFile(file, []byte(strconv.Itoa(port)+"\n"), 0o600)
}

// listenAgain takes the port of the last run if it is free.
func listenAgain(file string) (net.Listener, error) {
	last, _ := os.ReadFile(file)
	listener, err := net.Listen("tcp", "127.0.0.1:"+strings.TrimSpace(string(last)))
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return listener, os.WriteFile(file, []byte(strconv.Itoa(port)+"\n"), 0o600)
}

// isReady asks the API server at the given kubeconfig. Its own /readyz does not wait for the namespaces that
// it makes at its first start.
func isReady(kubeconfig string) bool {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	// A file that is just being written is empty for a moment.
	if err != nil || config.Clusters["devcluster"] == nil {
		return false
	}
	tlsConfig, err := clientTLS(filepath.Join(filepath.Dir(kubeconfig), "pki"), "admin")
	if err != nil {
		return false
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default"} {
		answer, err := client.Get(config.Clusters["devcluster"].Server + path)
		if err != nil {
			return false
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return false
		}
	}
	return true
}

// waitFor polls; false when ctx ends first.
func waitFor(ctx context.Context, condition func() bool) bool {
	for !condition() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}

// prepare makes DIR the working directory of this process, with everything the components need in it. The front, if
// there is to be one, listens from the start, so that its port is known; it serves later.
func prepare(o options) (port int, listener net.Listener, err error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return 0, nil, err
	}
	if !o.inside { // else upNode holds it
		if err := lock(o.dir); err != nil {
			return 0, nil, err
		}
	}
	if err := os.Chdir(o.dir); err != nil {
		return 0, nil, err
	}
	if o.inside {
		if err := setUpNode(o.dir, o.nodes); err != nil {
			return 0, nil, err
		}
	}
	if err := ensurePKI("pki"); err != nil {
		return 0, nil, err
	}
	if port, err = reservePort("port"); err != nil {
		return 0, nil, err
	}
	if err := writeKubeconfig("apiserver.kubeconfig", "pki", serverURL(port)); err != nil {
		return 0, nil, err
	}
	if !o.openshift && !o.faults {
		return port, nil, writeKubeconfig("kubeconfig", "pki", serverURL(port))
	}
	if listener, err = listenAgain("front-port"); err != nil {
		return 0, nil, err
	}
	return port, listener, writeKubeconfig("kubeconfig", "pki", serverURL(listener.Addr().(*net.TCPAddr).Port))
}

// startFront comes when the API server is ready.
func startFront(o options, listener net.Listener, upstream string) error {
	if listener == nil {
		return nil
	}
	front, err := newFront("pki", upstream)
	if err != nil {
		return err
	}
	if o.openshift {
		if front.openshift, err = newOpenshift(front, "apiserver.kubeconfig"); err != nil {
			return err
		}
		if err := front.openshift.start(o.crds); err != nil {
			return err
		}
	}
	return front.serve(listener)
}

func startAll(processes []*process) error {
	for _, p := range processes {
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

// supervise runs the components until it is told to end: the first at once, the rest when
// kube-apiserver is ready and whenReady has returned. A kube-apiserver that ends later than at boot is a test's
// doing and stays away until it is asked for; the others come back by themselves. The controllers, the first of the
// rest, are restarted with the API server: after an outage their reflectors would wait for up to a minute
// (client-go's back-off), and a new namespace would have no ServiceAccount meanwhile.
func supervise(dir string, first, rest []*process, exited <-chan *process, whenReady func() error) error {
	apiserver, controllers := first[0], rest[0]
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2)
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	ready := make(chan error)
	go func() {
		if !waitFor(ctx, func() bool { return isReady("apiserver.kubeconfig") }) {
			ready <- fmt.Errorf("kube-apiserver is not ready after %s, see %s/kube-apiserver.log", readyTimeout, dir)
			return
		}
		ready <- whenReady()
	}()
	restart := make(chan *process)
	booted := false
	if err := startAll(first); err != nil {
		return err
	}
	for {
		var err error
		select {
		case err = <-ready:
			if err != nil {
				return err
			}
			booted = true
			fmt.Println(kubeconfigPath(dir))
			err = startAll(rest)
		case p := <-restart:
			err = p.start()
		case p := <-exited:
			fmt.Println(p.ended())
			if !booted {
				return fmt.Errorf("%s did not start, see %s/%s.log", p.name, dir, p.name)
			}
			if p != apiserver {
				time.AfterFunc(time.Second, func() { restart <- p })
			}
		case s := <-signals:
			switch s {
			case syscall.SIGUSR1:
				apiserver.terminate()
			case syscall.SIGUSR2:
				err = apiserver.start()
				controllers.terminate()
			default:
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// up runs a cluster in this process and its children. kube-apiserver goes before its etcd.
func up(o options) error {
	if o.nodes > 0 && !o.inside {
		return upNode(o)
	}
	port, listener, err := prepare(o)
	if err != nil {
		return err
	}
	etcd, err := startEtcd()
	if err != nil {
		return err
	}
	defer etcd.Close()
	exited := make(chan *process)
	component := func(name string, args ...string) *process {
		return &process{name: name, dir: o.dir, args: args, exited: exited}
	}
	first := []*process{component("kube-apiserver", apiserverArgs(port, o)...)}
	rest := []*process{component("kube-controller-manager", controllerArgs(o)...)}
	whenReady := func() error { return startFront(o, listener, serverURL(port)) }
	if o.inside {
		programs, err := programsDir()
		if err != nil {
			return err
		}
		rest = append(rest, component("kube-scheduler", "--config=node/kube-scheduler.yaml", "--secure-port=0"),
			component("kube-proxy", "--config=node/kube-proxy.yaml"))
		for _, m := range members(o.nodes) {
			runtime, kubelet := m.processes(programs, component)
			first, rest = append(first, runtime), append(rest, kubelet)
		}
		whenReady = func() error { return importImages(o.nodes, programs+"/pause.tar") }
		go announceNodes(o.nodes)
		go reapOrphans()
	}
	err = supervise(o.dir, first, rest, exited, whenReady)
	for _, p := range append(rest, first...) {
		p.terminate()
		for p.cmd != nil {
			fmt.Println((<-exited).ended())
		}
	}
	return err
}

// start leaves devcluster up behind in a session of its own.
func start(o options) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	if runningPID(o.dir) == 0 {
		log, err := os.OpenFile(filepath.Join(o.dir, "devcluster.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		cmd := again("up", "--dir", o.dir, "--crds", o.crds, fmt.Sprintf("--nodes=%d", o.nodes),
			fmt.Sprintf("--openshift=%t", o.openshift), fmt.Sprintf("--faults=%t", o.faults))
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return err
		}
		go func() {
			_ = cmd.Wait()
			cancel()
		}()
	}
	var enter []byte
	isUp := func() bool { return isReady(kubeconfigPath(o.dir)) }
	if o.nodes > 0 { // nothing of it can be reached from here
		isUp = func() (isThere bool) {
			enter, _ = os.ReadFile(enterFile(o.dir))
			return len(enter) > 0
		}
	}
	if !waitFor(ctx, isUp) {
		return fmt.Errorf("the cluster did not start, see %s/*.log", o.dir)
	}
	fmt.Printf("%s%s\n", enter, kubeconfigPath(o.dir))
	return nil
}

func tell(dir string, s syscall.Signal) error {
	pid := runningPID(dir)
	if pid == 0 {
		return fmt.Errorf("no cluster runs in %s", dir)
	}
	return syscall.Kill(pid, s)
}

func down(o options) error {
	dir := o.dir
	if runningPID(dir) == 0 {
		removeCgroups(dir) // of a node that was killed
		return nil
	}
	if err := tell(dir, syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if waitFor(ctx, func() bool { return runningPID(dir) == 0 }) {
		return nil
	}
	return tell(dir, syscall.SIGKILL)
}

func stopAPIServer(o options) error {
	dir := o.dir
	if err := tell(dir, syscall.SIGUSR1); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	waitFor(ctx, func() bool {
		_, err := os.Stat(filepath.Join(dir, "kube-apiserver.pid"))
		return err != nil
	})
	return nil
}

func startAPIServer(o options) error {
	dir := o.dir
	if enter, err := os.ReadFile(enterFile(dir)); err == nil && !o.inside {
		program, err := os.Executable()
		if err != nil {
			return err
		}
		words := append(strings.Fields(string(enter)), program, "apiserver-start", "--dir", dir, "--inside")
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stderr = os.Stderr
		return cmd.Run()
	}
	if err := tell(dir, syscall.SIGUSR2); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if !waitFor(ctx, func() bool { return isReady(kubeconfigPath(dir)) }) {
		return fmt.Errorf("kube-apiserver is not ready, see %s/kube-apiserver.log", dir)
	}
	return nil
}
