package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// madeBy is the label of every pod that cribench makes; RemovePods finds them by it.
const madeBy = "cribench"

var serial atomic.Int64

// maker makes and removes pods and containers, noting the time of each RPC.
type maker struct {
	client *client
	step   Step
}

func prepareCycle(ctx context.Context, c *client, step Step) (*work, error) {
	if step.Image == "" {
		step.Image = "busybox:1.36"
	}
	m := &maker{client: c, step: step}
	switch step.RPC {
	case "PodCycle":
		return &work{call: func(ctx context.Context, into *recorder, _, _ int) { m.podCycle(ctx, into) }}, nil
	case "MakePods":
		return &work{call: func(ctx context.Context, into *recorder, _, _ int) { m.makePod(ctx, into) }}, nil
	case "RemovePods":
		return m.removal(ctx)
	}
	return m.containerCycles(ctx)
}

// podCycle runs, stops and removes a pod.
func (m *maker) podCycle(ctx context.Context, into *recorder) {
	config := m.podConfig()
	id, err := m.runPod(ctx, into, config)
	if err == nil {
		m.removePod(ctx, into, id)
	}
}

// makePod runs a pod with its containers, and leaves them running.
func (m *maker) makePod(ctx context.Context, into *recorder) {
	config := m.podConfig()
	pod, err := m.runPod(ctx, into, config)
	if err != nil {
		return
	}
	containers := 1
	if m.step.ContainersPerPod != nil {
		containers = *m.step.ContainersPerPod
	}
	for range containers {
		m.startContainer(ctx, into, pod, config)
	}
}

// removal removes the pods that cribench has made.
func (m *maker) removal(ctx context.Context) (*work, error) {
	filter := &cri.PodSandboxFilter{LabelSelector: map[string]string{madeBy: "true"}}
	answer, err := m.client.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{Filter: filter})
	if err != nil {
		return nil, err
	}
	pods := answer.GetItems()
	if len(pods) == 0 {
		return &work{calls: 1, call: func(context.Context, *recorder, int, int) {}}, nil
	}
	return &work{calls: len(pods), call: func(ctx context.Context, into *recorder, _, index int) {
		m.removePod(ctx, into, pods[index].GetId())
	}}, nil
}

// containerCycles gives each caller a pod, in which it makes, starts, stops and removes containers.
func (m *maker) containerCycles(ctx context.Context) (*work, error) {
	type home struct {
		id     string
		config *cri.PodSandboxConfig
	}
	uncounted := newRecorder()
	homes := make([]home, m.step.Callers)
	finish := func() {
		for _, each := range homes {
			if each.id != "" {
				m.removePod(context.Background(), uncounted, each.id)
			}
		}
	}
	for caller := range homes {
		config := m.podConfig()
		id, err := m.runPod(ctx, uncounted, config)
		if err != nil {
			finish()
			return nil, err
		}
		homes[caller] = home{id: id, config: config}
	}
	return &work{finish: finish, call: func(ctx context.Context, into *recorder, caller, _ int) {
		id, err := m.startContainer(ctx, into, homes[caller].id, homes[caller].config)
		if err == nil {
			m.removeContainer(ctx, into, id)
		}
	}}, nil
}

func (m *maker) podConfig() *cri.PodSandboxConfig {
	name := fmt.Sprintf("bench-%d-%d", os.Getpid(), serial.Add(1))
	uid := fmt.Sprintf("%08x-%d", time.Now().UnixNano()&0xffffffff, serial.Load())
	namespaces := &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER}
	if m.step.HostNetwork {
		namespaces.Network = cri.NamespaceMode_NODE
	}
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "bench", Uid: uid},
		Labels:   map[string]string{madeBy: "true", "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "bench", "io.kubernetes.pod.uid": uid},
		Linux:    &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: namespaces}},
	}
	if !m.step.HostNetwork {
		config.Hostname = name
	}
	if m.step.LogDirectory != "" {
		config.LogDirectory = filepath.Join(m.step.LogDirectory, name)
	}
	return config
}

func (m *maker) runPod(ctx context.Context, into *recorder, config *cri.PodSandboxConfig) (id string, err error) {
	if config.LogDirectory != "" {
		if err := os.MkdirAll(config.LogDirectory, 0o755); err != nil {
			return "", err
		}
	}
	err = m.client.call(ctx, into, "RunPodSandbox", func(ctx context.Context) (int, error) {
		request := &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: m.step.RuntimeHandler}
		answer, err := m.client.runtime.RunPodSandbox(ctx, request)
		id = answer.GetPodSandboxId()
		return 0, err
	})
	return id, err
}

func (m *maker) removePod(ctx context.Context, into *recorder, id string) {
	m.client.call(ctx, into, "StopPodSandbox", func(ctx context.Context) (int, error) {
		_, err := m.client.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
		return 0, err
	})
	m.client.call(ctx, into, "RemovePodSandbox", func(ctx context.Context) (int, error) {
		_, err := m.client.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
		return 0, err
	})
}

func (m *maker) startContainer(ctx context.Context, into *recorder, pod string, sandbox *cri.PodSandboxConfig) (id string, err error) {
	name := fmt.Sprintf("c%d", serial.Add(1))
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name},
		Image:    &cri.ImageSpec{Image: m.step.Image},
		// A shell that is process 1 would take the whole grace period to stop.
		Command: []string{"sh", "-c", "trap exit TERM; sleep 86400 & wait"},
		Labels:  map[string]string{madeBy: "true", "io.kubernetes.container.name": name},
		Linux:   &cri.LinuxContainerConfig{SecurityContext: securityContext(sandbox)},
	}
	if sandbox.GetLogDirectory() != "" {
		config.LogPath = name + ".log"
	}
	err = m.client.call(ctx, into, "CreateContainer", func(ctx context.Context) (int, error) {
		answer, err := m.client.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
			PodSandboxId: pod, Config: config, SandboxConfig: sandbox,
		})
		id = answer.GetContainerId()
		return 0, err
	})
	if err != nil {
		return "", err
	}
	return id, m.client.call(ctx, into, "StartContainer", func(ctx context.Context) (int, error) {
		_, err := m.client.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: id})
		return 0, err
	})
}

// securityContext is what a kubelet sends for a container that asks for nothing. Without one, each shim has a
// seccomp filter of its own choice, which costs more than all that is to be measured.
func securityContext(sandbox *cri.PodSandboxConfig) *cri.LinuxContainerSecurityContext {
	return &cri.LinuxContainerSecurityContext{
		NamespaceOptions: sandbox.GetLinux().GetSecurityContext().GetNamespaceOptions(),
		Seccomp:          &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined},
		MaskedPaths: []string{
			"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
			"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		},
		ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
	}
}

func (m *maker) removeContainer(ctx context.Context, into *recorder, id string) {
	m.client.call(ctx, into, "StopContainer", func(ctx context.Context) (int, error) {
		_, err := m.client.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 5})
		return 0, err
	})
	m.client.call(ctx, into, "RemoveContainer", func(ctx context.Context) (int, error) {
		_, err := m.client.runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id})
		return 0, err
	})
}
