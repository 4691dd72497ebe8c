package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroup is this process's own in one hierarchy (of cgroup v1), and the node's below it.
type cgroup struct {
	controllers string // "memory", "cpu,cpuacct", "name=systemd"
	own, node   string // folders
}

type cgroups []cgroup

// findCgroups names the node's cgroups after DIR, so that those of a node that was killed are found again.
func findCgroups(dir string) (cgroups, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	hash := fnv.New64a()
	hash.Write([]byte(dir))
	name := fmt.Sprintf("devcluster-%016x", hash.Sum64())
	var found cgroups
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		parts := strings.SplitN(line, ":", 3) // "4:memory:/PATH"; v2's has no controllers
		if len(parts) != 3 || parts[1] == "" {
			continue
		}
		own := filepath.Join(cgroupRoot, strings.TrimPrefix(parts[1], "name="), parts[2])
		found = append(found, cgroup{controllers: parts[1], own: own, node: filepath.Join(own, name)})
	}
	if len(found) == 0 {
		return nil, errors.New("the node needs the hierarchies of cgroup v1; this machine has only cgroup v2")
	}
	return found, nil
}

func newCgroups(dir string) (cgroups, error) {
	removeCgroups(dir)
	found, err := findCgroups(dir)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		if err := os.MkdirAll(c.node, 0o755); err != nil {
			return nil, fmt.Errorf("make the node's cgroups (this needs root): %w", err)
		}
		if err := fillCpuset(c.controllers, c.node); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// fillCpuset gives a new folder of that hierarchy what its parent has: it begins empty, and then it takes no process.
func fillCpuset(controllers, folder string) error {
	if controllers != "cpuset" {
		return nil
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(filepath.Dir(folder), file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, file), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makeCgroups makes a folder below what mountCgroups has mounted, for the Pods of one of several nodes.
func makeCgroups(root string) error {
	found, err := findCgroups("")
	if err != nil {
		return err
	}
	for _, c := range found {
		folder := filepath.Join(cgroupRoot, strings.TrimPrefix(c.controllers, "name="), root)
		if err := os.Mkdir(folder, 0o755); err != nil {
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			return err
		}
		if err := fillCpuset(c.controllers, folder); err != nil {
			return err
		}
	}
	return nil
}

func joinCgroup(folder string) error {
	return os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644)
}

// enter moves this process: what it starts in a cgroup namespace of its own sees the node's cgroups as the roots.
func (all cgroups) enter() error {
	for _, c := range all {
		if err := joinCgroup(c.node); err != nil {
			return err
		}
	}
	return nil
}

// remove is best effort: a folder with processes in it stays.
func (all cgroups) remove() {
	for _, c := range all {
		_ = joinCgroup(c.own)
		var folders []string
		_ = filepath.WalkDir(c.node, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		for i := len(folders) - 1; i >= 0; i-- {
			_ = syscall.Rmdir(folders[i])
		}
	}
}

func removeCgroups(dir string) {
	if found, err := findCgroups(dir); err == nil {
		found.remove()
	}
}

// mountCgroups shows the hierarchies to the namespaces, each with the node's cgroup as its root.
func mountCgroups() error {
	found, err := findCgroups("")
	if err != nil {
		return err
	}
	for _, c := range found {
		target := filepath.Join(cgroupRoot, strings.TrimPrefix(c.controllers, "name="))
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		data := c.controllers
		if strings.HasPrefix(data, "name=") {
			data = "none," + data
		}
		if err := syscall.Mount("cgroup", target, "cgroup", 0, data); err != nil {
			return fmt.Errorf("mount cgroup %s: %w", c.controllers, err)
		}
	}
	return nil
}
