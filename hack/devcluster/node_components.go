//go:build node

package main

import (
	"context"

	"github.com/spf13/cobra"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Behind a build tag: a cluster without a node neither compiles these nor carries them.
func init() {
	components["kubelet"] = func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }
	components["kube-scheduler"] = func() *cobra.Command { return scheduler.NewSchedulerCommand() }
	components["kube-proxy"] = proxy.NewProxyCommand
}
