// Command devcluster is a Kubernetes control plane in one program, for development and tests: the real
// kube-apiserver, etcd and kube-controller-manager, and kubectl. It runs no pods. README.md says how to use it.
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

  up [--openshift|--faults]
                   run a cluster in the foreground, until SIGTERM or SIGINT
  start [--openshift|--faults]
                   run one in the background; prints the path of its kubeconfig when it is ready
  down             end it; its data stays in DIR
  apiserver-stop   end its kube-apiserver only: an outage
  apiserver-start  start that again, on the same port and data
  kubectl ...      kubectl (also under the program name kubectl)

  --openshift      with OpenShift's face (CRDs included), and a front that can make requests fail
  --faults         with that front alone
  --crds DIR       where --openshift finds the definitions (default: manifests/crds of this checkout)
`

type options struct {
	dir       string
	openshift bool
	faults    bool
	crds      string
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
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	if o.dir == "" || flags.NArg() > 0 {
		return fmt.Errorf("expected --dir DIR and options\n%s", usage)
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
