// Command devcluster is a Kubernetes cluster in one program, for development and tests: the real kube-apiserver, etcd and kube-controller-manager, and kubectl; built with the tag "node" also a node that runs Pods.
// README.md says how to use it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const usage = `usage: devcluster COMMAND --dir DIR

  up [--openshift|--faults|--node|--nodes 2]
                   run a cluster in the foreground, until SIGTERM or SIGINT
  start [--openshift|--faults|--node|--nodes 2]
                   run one in the background; prints the path of its kubeconfig when it is ready
  down             end it; its data stays in DIR
  apiserver-stop   end its kube-apiserver only: an outage
  apiserver-start  start that again, on the same port and data
  import FILE...   load images (OCI archives) into its nodes
  kubectl ...      kubectl (also under the program name kubectl)

  --openshift      with OpenShift's face (CRDs included), and a front that can make requests fail
  --faults         with that front alone
  --node           with a node, as root, in namespaces of its own; start prints, before the kubeconfig, the
                   command prefix that enters their network
  --nodes 2        with two, "node" and "node-2"
  --crds DIR       where --openshift finds the definitions (default: manifests/crds of this checkout)
`

type options struct {
	dir       string
	openshift bool
	faults    bool
	crds      string
	nodes     int
	inside    bool     // of the nodes' namespaces
	args      []string // what follows the options
}

// Kubernetes' components keep flags, feature gates and metrics in globals, so each runs in a process of its
// own: devcluster starts itself under these names.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

var commands = map[string]func(options) error{
	"up":              up,
	"start":           start,
	"down":            down,
	"apiserver-stop":  stopAPIServer,
	"apiserver-start": startAPIServer,
	"import":          importInto,
}

// Children ask to die with the thread that started them. The main goroutine starts all of them and stays on
// the main thread, which lives as long as the process.
func init() {
	runtime.LockOSThread()
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("no command given\n%s", usage)
	}
	command, ok := commands[args[1]]
	if !ok {
		return fmt.Errorf("unknown command %q\n%s", args[1], usage)
	}
	flags := flag.NewFlagSet(args[1], flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	var o options
	flags.StringVar(&o.dir, "dir", "", "")
	flags.BoolVar(&o.openshift, "openshift", false, "")
	flags.BoolVar(&o.faults, "faults", false, "")
	flags.StringVar(&o.crds, "crds", "", "")
	flags.BoolFunc("node", "", func(string) error { o.nodes = 1; return nil })
	flags.IntVar(&o.nodes, "nodes", 0, "")
	flags.BoolVar(&o.inside, "inside", false, "")
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	o.args = flags.Args()
	if o.dir == "" || len(o.args) > 0 != (args[1] == "import") {
		return fmt.Errorf("expected --dir DIR and options\n%s", usage)
	}
	if o.nodes < 0 || o.nodes > maxNodes {
		return fmt.Errorf("--nodes is %d; expected 1 to %d", o.nodes, maxNodes)
	}
	if o.nodes > 0 && (o.openshift || o.faults) {
		return fmt.Errorf("--node goes with neither --openshift nor --faults")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if o.crds == "" {
		o.crds = filepath.Join(filepath.Dir(program), "../manifests/crds") // of build/devcluster
	}
	o.dir, err = filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	o.crds, err = filepath.Abs(o.crds)
	if err != nil {
		return err
	}
	return command(o)
}

func main() {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl") {
		os.Args = append([]string{"devcluster", "kubectl"}, os.Args[1:]...)
	}
	if len(os.Args) > 1 {
		if component, ok := components[os.Args[1]]; ok {
			os.Args = os.Args[1:]
			os.Exit(cli.Run(component()))
		}
	}
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		os.Exit(1)
	}
}
