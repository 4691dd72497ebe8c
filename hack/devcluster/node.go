// Real nodes: the cluster's processes, a scheduler, kube-proxy, and a container runtime and a kubelet for each node,
// all in the same namespaces. Their network has no other interfaces than the loopback and the Pods' bridge.
package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	texttemplate "text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	nodeAddress = "10.244.255.1" // the first node's, on the loopback; outside of the Pods' subnet
	maxNodes    = 2
	serviceCIDR = "10.0.0.0/24"
	cniPlugins  = "/usr/lib/cni" // of Debian's containernetworking-plugins
	// A registry that listens at one of these ports of nodeAddress is spoken to without TLS.
	firstRegistryPort, lastRegistryPort = 5000, 5003
)

// What Pods need beyond controllerNames.
var nodeControllerNames = []string{
	"daemonset-controller",
	"deployment-controller",
	"endpoints-controller",
	"endpointslice-controller",
	"job-controller",
	"node-lifecycle-controller",
	"persistentvolume-binder-controller",
	"persistentvolume-protection-controller",
	"pod-garbage-collector-controller",
	"replicaset-controller",
	"ttl-after-finished-controller",
}

//go:embed node/*
var nodeFiles embed.FS

// member is a node. All share one network, so also the Pods' bridge and its addresses, and kube-proxy's rules.
type member struct {
	Name, Address string
	Folder        string // below DIR
	Run           string // of the runtime's sockets
	Kubelet, Log  string // the first one's are the paths that are built into the kubelet
	CgroupRoot    string
}

func members(n int) []member {
	all := []member{{"node", nodeAddress, "node", "/run/containerd", "/var/lib/kubelet", "/var/log/pods", "/"}}
	for i := 2; i <= n; i++ {
		name := fmt.Sprintf("node-%d", i)
		all = append(all, member{name, fmt.Sprintf("10.244.255.%d", i), name, "/run/containerd-" + name,
			"/var/lib/kubelet/" + name, "/var/log/pods-" + name, "/" + name})
	}
	return all
}

// programsDir holds containerd, containerd-shim-runc-v2, ctr, runc and pause.tar: hack/node/build makes them.
func programsDir() (string, error) {
	program, err := os.Executable()
	return filepath.Join(filepath.Dir(program), "node"), err
}

func checkNode() error {
	if components["kubelet"] == nil {
		return errors.New("this program has no kubelet in it; `hack/cluster build --node` builds one that has")
	}
	programs, err := programsDir()
	if err != nil {
		return err
	}
	for path, remedy := range map[string]string{
		programs + "/containerd": "run `hack/node/build`",
		programs + "/pause.tar":  "run `hack/node/build`",
		cniPlugins + "/bridge":   "install Debian's containernetworking-plugins",
	} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s is missing: %s", path, remedy)
		}
	}
	return nil
}

// enterFile holds the command prefix that enters the node's network; it is there while the node is ready.
func enterFile(dir string) string { return filepath.Join(dir, "enter") }

// upNode makes the namespaces and the cgroups, runs the cluster in them, and removes what would be left. The
// processes in there need no care: the kernel ends them with the first one, and that one with this process.
func upNode(o options) error {
	if err := checkNode(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	if err := lock(o.dir); err != nil {
		return err
	}
	_ = os.Remove(enterFile(o.dir))
	defer os.Remove(enterFile(o.dir))
	cgroups, err := newCgroups(o.dir)
	if err != nil {
		return err
	}
	defer cgroups.remove()
	if err := cgroups.enter(); err != nil {
		return err
	}
	ready, readyInside, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := again("up", "--dir", o.dir, fmt.Sprintf("--nodes=%d", o.nodes), "--inside")
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, []*os.File{readyInside}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWCGROUP |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make the node's namespaces (this needs root): %w", err)
	}
	readyInside.Close()
	go func() {
		if n, _ := ready.Read(make([]byte, 1)); n == 1 {
			enter := fmt.Sprintf("nsenter --net=/proc/%d/ns/net", cmd.Process.Pid)
			_ = os.WriteFile(enterFile(o.dir), []byte(enter+"\n"), 0o600)
		}
	}()
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s)
		case err := <-ended:
			return err
		}
	}
}

func mountAll() error {
	const private, shared = syscall.MS_REC | syscall.MS_PRIVATE, syscall.MS_REC | syscall.MS_SHARED
	mounts := []struct {
		source, target, kind, data string
		flags                      uintptr
	}{
		{target: "/", flags: private},
		{target: "/", flags: shared}, // among ourselves: the runtime sees the volumes that the kubelet mounts
		{"proc", "/proc", "proc", "", 0},
		{"sysfs", "/sys", "sysfs", "", 0},
		{"tmpfs", "/sys/fs/cgroup", "tmpfs", "mode=755", 0},
		{"tmpfs", "/run", "tmpfs", "mode=755", 0},
		// Paths that are built into the kubelet.
		{"node/kubelet", "/var/lib/kubelet", "", "", syscall.MS_BIND},
		{"node/log", "/var/log", "", "", syscall.MS_BIND},
	}
	for _, m := range mounts {
		if m.flags == syscall.MS_BIND {
			for _, folder := range []string{m.source, m.target} {
				if err := os.MkdirAll(folder, 0o755); err != nil {
					return err
				}
			}
		}
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return mountCgroups()
}

func setUpNetwork(nodes int) error {
	commands := []string{"ip link set lo up"}
	for _, m := range members(nodes) {
		commands = append(commands, "ip address add "+m.Address+"/32 dev lo")
	}
	commands = append(commands,
		// Else there is no route to them, and kube-proxy's rules never see what the node itself sends there.
		"ip route add "+serviceCIDR+" dev lo src "+nodeAddress)
	for _, command := range commands {
		words := strings.Fields(command)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0o644)
}

func writeNodeFiles(dir string, m member) error {
	programs, err := programsDir()
	if err != nil {
		return err
	}
	values := struct {
		member
		Dir, CNI, Programs string
	}{m, dir, cniPlugins, programs}
	templates, err := texttemplate.ParseFS(nodeFiles, "node/*")
	if err != nil {
		return err
	}
	for _, t := range templates.Templates() {
		path := filepath.Join(m.Folder, t.Name())
		if t.Name() == "pods.conflist" {
			path = filepath.Join(m.Folder, "cni", t.Name())
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		var text strings.Builder
		if err := t.Execute(&text, values); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			return err
		}
	}
	for port := firstRegistryPort; port <= lastRegistryPort; port++ {
		host := fmt.Sprintf("%s:%d", nodeAddress, port)
		folder := filepath.Join(m.Folder, "registries", host)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		hosts := fmt.Sprintf("server = \"http://%s\"\n[host.\"http://%s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", host, host)
		if err := os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(hosts), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(m.Folder, "resolv.conf"), []byte("nameserver "+nodeAddress+"\n"), 0o600)
}

// setUpNode runs as the first process of the namespaces, in DIR.
func setUpNode(dir string, nodes int) error {
	if err := syscall.Sethostname([]byte("node")); err != nil {
		return err
	}
	if err := mountAll(); err != nil {
		return err
	}
	if err := setUpNetwork(nodes); err != nil {
		return err
	}
	for _, m := range members(nodes) {
		if err := makeCgroups(m.CgroupRoot); err != nil {
			return err
		}
		if err := writeNodeFiles(dir, m); err != nil {
			return err
		}
	}
	return nil
}

// zombies are the children of this process that have ended and wait to be waited for.
func zombies() map[int]bool {
	found := map[int]bool{}
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(children)) {
			// "PID (NAME) STATE ...": a name may have spaces and parentheses in it.
			stat, _ := os.ReadFile("/proc/" + child + "/stat")
			pid, err := strconv.Atoi(child)
			if _, rest, _ := bytes.Cut(stat, []byte(") Z")); err == nil && len(rest) > 0 {
				found[pid] = true
			}
		}
	}
	return found
}

// reapOrphans is the duty of the first process of a PID namespace: the runtime's shims become its children when
// their parents end. A child that exec.Cmd waits for is no zombie for long, and is left to it.
func reapOrphans() {
	var before map[int]bool
	for range time.Tick(5 * time.Second) {
		now := zombies()
		for pid := range now {
			if before[pid] {
				_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			}
		}
		before = now
	}
}

// importImages loads OCI archives into the nodes' image stores, as soon as containerd answers.
func importImages(nodes int, files ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	programs, err := programsDir()
	if err != nil {
		return err
	}
	for _, m := range members(nodes) {
		ctr := func(args ...string) ([]byte, error) {
			return exec.CommandContext(ctx, programs+"/ctr", append(m.ctrFlags(), args...)...).CombinedOutput()
		}
		if !waitFor(ctx, func() bool { _, err := ctr("version"); return err == nil }) {
			return fmt.Errorf("containerd does not answer, see containerd of %s in *.log", m.Name)
		}
		for _, file := range files {
			if out, err := ctr("images", "import", file); err != nil {
				return fmt.Errorf("import %s: %w: %s", file, err, out)
			}
		}
	}
	return nil
}

func (m member) ctrFlags() []string {
	return []string{"--address", m.Run + "/containerd.sock", "--namespace", "k8s.io"}
}

// processes are the node's own, which ADD makes: its runtime, and its kubelet.
func (m member) processes(programs string, add func(name string, args ...string) *process) (runtime, kubelet *process) {
	suffix := strings.TrimPrefix(m.Name, "node")
	runtime = add("containerd"+suffix, "--config", m.Folder+"/containerd.toml")
	runtime.path = programs + "/containerd"
	kubelet = add("kubelet", "--config="+m.Folder+"/kubelet.yaml", "--kubeconfig=apiserver.kubeconfig", "--root-dir="+m.Kubelet,
		"--cert-dir="+m.Folder+"/pki", "--hostname-override="+m.Name, "--node-ip="+m.Address)
	kubelet.label = "kubelet" + suffix
	return runtime, kubelet
}

func areNodesReady(ctx context.Context, nodes int) bool {
	config, err := clientcmd.BuildConfigFromFlags("", "apiserver.kubeconfig")
	if err != nil {
		return false
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return false
	}
	for _, m := range members(nodes) {
		node, err := client.CoreV1().Nodes().Get(ctx, m.Name, metav1.GetOptions{})
		if err != nil || !slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}) {
			return false
		}
	}
	return true
}

// announceNodes tells upNode, over the pipe that it gave, that the nodes are ready.
func announceNodes(nodes int) {
	ready := os.NewFile(3, "ready")
	defer ready.Close()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if waitFor(ctx, func() bool { return areNodesReady(ctx, nodes) }) {
		_, _ = ready.Write([]byte("r"))
	}
}

// importInto is the command import: from outside, into the nodes that run in DIR.
func importInto(o options) error {
	enter, err := os.ReadFile(enterFile(o.dir))
	if err != nil {
		return fmt.Errorf("no node runs in %s", o.dir)
	}
	programs, err := programsDir()
	if err != nil {
		return err
	}
	words := strings.Fields(strings.ReplaceAll(string(enter), "--net=", "--mount="))
	words[1] = strings.Replace(words[1], "/ns/net", "/ns/mnt", 1)
	for _, m := range members(maxNodes) {
		root := strings.TrimSuffix(strings.TrimPrefix(words[1], "--mount="), "ns/mnt") + "root"
		if _, err := os.Stat(root + m.Run); err != nil {
			continue // no such node
		}
		for _, file := range o.args {
			path, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			args := append([]string{words[1], programs + "/ctr"}, append(m.ctrFlags(), "images", "import", path)...)
			cmd := exec.Command(words[0], args...)
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("import %s: %w", file, err)
			}
		}
	}
	return nil
}
