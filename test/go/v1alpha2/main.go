// Command v1alpha2 lives a pod's life with a runtime by CRI's former name, as kubelets before 1.26 do.
// It prints a line of JSON with what it saw. It is a module of its own, since cri-api has had both names
// up to v0.25 only.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1alpha2"
)

type seen struct {
	RuntimeAPIVersion string   `json:"runtimeApiVersion"`
	Images            []string `json:"images"`
	Pods              []string `json:"pods"`
	Containers        []string `json:"containers"`
	State             string   `json:"state"`
	Stdout            string   `json:"stdout"`
	PodsAfterwards    int      `json:"podsAfterwards"`
	UnknownPod        string   `json:"unknownPod"`
}

func main() {
	endpoint := flag.String("endpoint", "", "unix:///path of the runtime")
	image := flag.String("image", "busybox:1.36", "an image that the runtime has")
	flag.Parse()
	connection, err := grpc.Dial(*endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	found, err := live(ctx, cri.NewRuntimeServiceClient(connection), cri.NewImageServiceClient(connection), *image)
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(found)
}

func live(ctx context.Context, runtime cri.RuntimeServiceClient, images cri.ImageServiceClient, image string) (*seen, error) {
	found := &seen{}
	version, err := runtime.Version(ctx, &cri.VersionRequest{})
	if err != nil {
		return nil, err
	}
	found.RuntimeAPIVersion = version.RuntimeApiVersion
	listed, err := images.ListImages(ctx, &cri.ListImagesRequest{Filter: &cri.ImageFilter{Image: &cri.ImageSpec{Image: image}}})
	if err != nil {
		return nil, err
	}
	for _, each := range listed.Images {
		found.Images = append(found.Images, each.RepoTags...)
	}
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: "former", Namespace: "default", Uid: "uid-former"},
		Linux:    &cri.LinuxPodSandboxConfig{},
	}
	pod, err := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return nil, err
	}
	id := pod.PodSandboxId
	defer runtime.RemovePodSandbox(context.Background(), &cri.RemovePodSandboxRequest{PodSandboxId: id})
	if err := runContainer(ctx, runtime, config, id, image, found); err != nil {
		return nil, err
	}
	if _, err := runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return nil, err
	}
	if _, err := runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
		return nil, err
	}
	pods, err := runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{Filter: &cri.PodSandboxFilter{Id: id}})
	if err != nil {
		return nil, err
	}
	found.PodsAfterwards = len(pods.Items)
	_, err = runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id})
	found.UnknownPod = status.Code(err).String()
	return found, nil
}

func runContainer(ctx context.Context, runtime cri.RuntimeServiceClient, config *cri.PodSandboxConfig, id, image string, found *seen) error {
	created, err := runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId:  id,
		SandboxConfig: config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "main"},
			Image:    &cri.ImageSpec{Image: image},
			Command:  []string{"sleep", "86400"},
			Linux:    &cri.LinuxContainerConfig{},
		},
	})
	if err != nil {
		return err
	}
	if _, err := runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: created.ContainerId}); err != nil {
		return err
	}
	pods, err := runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{Filter: &cri.PodSandboxFilter{Id: id}})
	if err != nil {
		return err
	}
	for _, each := range pods.Items {
		found.Pods = append(found.Pods, each.Metadata.Name+" "+each.State.String())
	}
	containers, err := runtime.ListContainers(ctx, &cri.ListContainersRequest{Filter: &cri.ContainerFilter{PodSandboxId: id}})
	if err != nil {
		return err
	}
	for _, each := range containers.Containers {
		found.Containers = append(found.Containers, each.Metadata.Name)
	}
	inspected, err := runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: created.ContainerId})
	if err != nil {
		return err
	}
	found.State = inspected.Status.State.String()
	executed, err := runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: created.ContainerId, Cmd: []string{"echo", "here"}, Timeout: 10})
	if err != nil {
		return err
	}
	found.Stdout = string(executed.Stdout)
	return nil
}
