package main

import (
	"context"
	"errors"
	"fmt"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// work is what a step calls: call is one call, or one cycle of calls; finish cleans up after the last.
// calls, unless 0, is how many there are to make.
type work struct {
	call   func(ctx context.Context, into *recorder, caller, index int)
	finish func()
	calls  int
}

// prepare looks up what a step needs, so that its calls do nothing but call.
func prepare(ctx context.Context, c *client, step Step) (*work, error) {
	switch step.RPC {
	case "PodCycle", "ContainerCycle", "MakePods", "RemovePods":
		return prepareCycle(ctx, c, step)
	case "PodSandboxStatus", "ContainerStatus", "ExecSync", "ImageStatus", "ContainerStats", "PodSandboxStats":
		return prepareTargeted(ctx, c, step)
	}
	read, ok := reads[step.RPC]
	if !ok {
		return nil, fmt.Errorf("cribench knows no RPC %q", step.RPC)
	}
	return single(c, step.RPC, func(ctx context.Context, _ int) (int, error) { return read(ctx, c) }), nil
}

func single(c *client, rpc string, do func(ctx context.Context, index int) (int, error)) *work {
	return &work{call: func(ctx context.Context, into *recorder, _, index int) {
		c.call(ctx, into, rpc, func(ctx context.Context) (int, error) { return do(ctx, index) })
	}}
}

// reads are the RPCs that need no target.
var reads = map[string]func(context.Context, *client) (int, error){
	"Version": func(ctx context.Context, c *client) (int, error) {
		_, err := c.runtime.Version(ctx, &cri.VersionRequest{})
		return 0, err
	},
	"Status": func(ctx context.Context, c *client) (int, error) {
		_, err := c.runtime.Status(ctx, &cri.StatusRequest{})
		return 0, err
	},
	"ListPodSandbox": func(ctx context.Context, c *client) (int, error) {
		answer, err := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
		return len(answer.GetItems()), err
	},
	"ListContainers": func(ctx context.Context, c *client) (int, error) {
		answer, err := c.runtime.ListContainers(ctx, &cri.ListContainersRequest{})
		return len(answer.GetContainers()), err
	},
	"ListContainerStats": func(ctx context.Context, c *client) (int, error) {
		answer, err := c.runtime.ListContainerStats(ctx, &cri.ListContainerStatsRequest{})
		return len(answer.GetStats()), err
	},
	"ListPodSandboxStats": func(ctx context.Context, c *client) (int, error) {
		answer, err := c.runtime.ListPodSandboxStats(ctx, &cri.ListPodSandboxStatsRequest{})
		return len(answer.GetStats()), err
	},
	"ListPodSandboxMetrics": func(ctx context.Context, c *client) (int, error) {
		answer, err := c.runtime.ListPodSandboxMetrics(ctx, &cri.ListPodSandboxMetricsRequest{})
		return len(answer.GetPodMetrics()), err
	},
	"ListImages": func(ctx context.Context, c *client) (int, error) {
		answer, err := c.images.ListImages(ctx, &cri.ListImagesRequest{})
		return len(answer.GetImages()), err
	},
	"ImageFsInfo": func(ctx context.Context, c *client) (int, error) {
		answer, err := c.images.ImageFsInfo(ctx, &cri.ImageFsInfoRequest{})
		return len(answer.GetImageFilesystems()), err
	},
}

func prepareTargeted(ctx context.Context, c *client, step Step) (*work, error) {
	targets, err := targetsOf(ctx, c, step)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, errors.New("the endpoint lists nothing that could be asked for")
	}
	command := step.Command
	if len(command) == 0 {
		command = []string{"true"}
	}
	return single(c, step.RPC, func(ctx context.Context, index int) (int, error) {
		target := targets[index%len(targets)]
		switch step.RPC {
		case "PodSandboxStatus":
			_, err := c.runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: target})
			return 0, err
		case "PodSandboxStats":
			_, err := c.runtime.PodSandboxStats(ctx, &cri.PodSandboxStatsRequest{PodSandboxId: target})
			return 0, err
		case "ContainerStatus":
			_, err := c.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: target})
			return 0, err
		case "ContainerStats":
			_, err := c.runtime.ContainerStats(ctx, &cri.ContainerStatsRequest{ContainerId: target})
			return 0, err
		case "ExecSync":
			answer, err := c.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: target, Cmd: command, Timeout: 60})
			if err == nil && answer.GetExitCode() != 0 {
				err = fmt.Errorf("%v: exit code %d: %s", command, answer.GetExitCode(), answer.GetStderr())
			}
			return 0, err
		default:
			image := &cri.ImageSpec{Image: target}
			_, err := c.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: image})
			return 0, err
		}
	}), nil
}

func targetsOf(ctx context.Context, c *client, step Step) ([]string, error) {
	if len(step.IDs) > 0 {
		return step.IDs, nil
	}
	var found []string
	switch step.RPC {
	case "PodSandboxStatus", "PodSandboxStats":
		answer, err := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
		for _, pod := range answer.GetItems() {
			found = append(found, pod.GetId())
		}
		return found, err
	case "ImageStatus":
		if step.Image != "" {
			return []string{step.Image}, nil
		}
		answer, err := c.images.ListImages(ctx, &cri.ListImagesRequest{})
		for _, image := range answer.GetImages() {
			found = append(found, image.GetRepoTags()...)
		}
		return found, err
	}
	running := &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}
	filter := &cri.ContainerFilter{State: running}
	answer, err := c.runtime.ListContainers(ctx, &cri.ListContainersRequest{Filter: filter})
	for _, container := range answer.GetContainers() {
		found = append(found, container.GetId())
	}
	return found, err
}
