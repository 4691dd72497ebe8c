package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// process is a component that runs as a child of devcluster up. Its methods belong to the main goroutine.
type process struct {
	name   string
	label  string // of its files; empty: the name
	path   string // of the program; empty: a component of this one
	dir    string
	args   []string
	cmd    *exec.Cmd // nil while it does not run
	exited chan<- *process
}

// again is this very program, also when its file has been built anew since.
func again(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "devcluster"
	return cmd
}

func (p *process) file(suffix string) string {
	return filepath.Join(p.dir, cmp.Or(p.label, p.name)+suffix)
}

func (p *process) start() error {
	if p.cmd != nil {
		return nil
	}
	log, err := os.OpenFile(p.file(".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	if p.path == "" {
		cmd = again(append([]string{p.name}, p.args...)...)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	// A group of its own: Ctrl-C at a terminal reaches devcluster up alone, which then ends them in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	go func() {
		_ = cmd.Wait() // the caller looks at cmd.ProcessState
		p.exited <- p
	}()
	return os.WriteFile(p.file(".pid"), []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600)
}

// ended is to be called for each process that comes out of the exited channel; it says how it ended.
func (p *process) ended() string {
	state := p.cmd.ProcessState.String()
	p.cmd = nil
	_ = os.Remove(p.file(".pid"))
	return fmt.Sprintf("%s: %s", cmp.Or(p.label, p.name), state)
}

func (p *process) terminate() {
	if p.cmd == nil {
		return
	}
	cmd := p.cmd
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Process.Signal(syscall.SIGCONT) // a test may have stopped it
	// kube-apiserver waits for its watchers. Its data is not its own, so nothing is lost.
	time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Kill() })
}

var errRunning = errors.New("a cluster runs in this directory already")

func lockedFile(dir string) string {
	return filepath.Join(dir, "devcluster.pid")
}

// lock makes the caller the one devcluster up of dir, until its process ends.
func lock(dir string) error {
	// Not an os.File: closing it, as the garbage collector would, gives the lock up.
	fd, err := syscall.Open(lockedFile(dir), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.FcntlFlock(uintptr(fd), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}); err != nil {
		return errRunning
	}
	if err := syscall.Ftruncate(fd, 0); err != nil {
		return err
	}
	_, err = syscall.Write(fd, []byte(strconv.Itoa(os.Getpid())+"\n"))
	return err
}

// runningPID is the process id of the devcluster up that serves dir; 0 where none does.
func runningPID(dir string) int {
	file, err := os.Open(lockedFile(dir))
	if err != nil {
		return 0
	}
	defer file.Close()
	held := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &held); err != nil || held.Type == syscall.F_UNLCK {
		return 0
	}
	return int(held.Pid)
}
